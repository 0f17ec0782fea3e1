#!/usr/bin/env python3
"""Writes a small question file in the form of A-OKVQA, for tests/data/vqa_test.cpp.

    tools/python/make_aokvqa.py tests/fixtures/vqa tests/fixtures/vqa/aokvqa_v1p0_val.json

The form is that of aokvqa_v1p0_{train,val}.json as the data set's repository (allenai/aokvqa) documents it: one list of
{split, image_id, question_id, question, choices (four), correct_choice_idx, direct_answers (ten), difficult_direct_answer,
rationales (three)}, with question ids of 22 letters and digits, and images named by 12 digits of image_id. Questions, answers
and image ids are those of the VQA set in the folder.
"""
import argparse
import json
import pathlib
import random
import string


def record(question, annotation, rng):
    people = [a["answer"] for a in annotation["answers"]]
    right = annotation["multiple_choice_answer"]
    choices = [right] + [c for c in ("yes", "8", "lamp", "green", "box") if c != right][:3]
    rng.shuffle(choices)
    return {
        "split": "val",
        "image_id": question["image_id"],
        "question_id": "".join(rng.choices(string.ascii_letters + string.digits, k=22)),
        "question": question["question"],
        "choices": choices,
        "correct_choice_idx": choices.index(right),
        "direct_answers": people,
        "difficult_direct_answer": people.count(right) < 5,
        "rationales": [f"One sees that it is {right}.", f"It is {right}.", "The picture shows it."],
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("vqa", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    args = parser.parse_args()
    questions = json.loads((args.vqa / "v2_OpenEnded_mscoco_val2014_questions.json").read_text())["questions"]
    annotations = json.loads((args.vqa / "v2_mscoco_val2014_annotations.json").read_text())["annotations"]
    by_id = {a["question_id"]: a for a in annotations}
    rng = random.Random(4)
    records = [record(q, by_id[q["question_id"]], rng) for q in questions[:9]]
    args.out.write_text(json.dumps(records) + "\n")
