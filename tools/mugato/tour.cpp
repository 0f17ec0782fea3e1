// One sample of each built-in world through every arrow of the data's way, then a step of all of them, with shapes and values.
#include <cstdio>
#include <sstream>

#include "commands.h"
#include "mugato/nn/objective.h"
#include "mugato/run/inspect.h"

namespace mugato::program {
namespace {

std::string shape(const at::Tensor& tensor) {
  std::string text = "(";
  for (int64_t i = 0; i < tensor.dim(); ++i) text += (i > 0 ? "," : "") + std::to_string(tensor.size(i));
  return text + ")";
}

// The first values of a tensor, for a line.
std::string first_values(const at::Tensor& tensor, int64_t count = 6) {
  std::ostringstream text;
  const auto flat = tensor.flatten();
  for (int64_t i = 0; i < std::min(count, flat.numel()); ++i) text << (i > 0 ? " " : "") << flat[i].item();
  if (flat.numel() > count) text << " ...";
  return text.str();
}

void line(const std::string& name, const std::string& shape_text, const std::string& rest) {
  std::printf("    %-12s %-18s %s\n", name.c_str(), shape_text.c_str(), rest.c_str());
}

void show_episode(const run::InspectedSample& sample) {
  std::printf("  Episode: %lld timesteps of raw values\n", static_cast<long long>(sample.episode.num_steps));
  for (size_t i = 0; i < sample.schema->fields.size(); ++i) {
    const auto& spec = sample.schema->fields[i];
    const auto& field = sample.episode.fields[i];
    const std::string kind = std::string(name_of(spec.modality)) + " " + name_of(spec.role) + ": ";
    if (spec.modality == Modality::kText)
      line(spec.name, "(" + std::to_string(field.text.size()) + ")", kind + "\"" + field.text.front().substr(0, 60) + "\"");
    else line(spec.name, shape(field.values), kind + first_values(field.values));
  }
}

void show_timesteps(const run::InspectedSample& sample) {
  std::printf("  Timesteps: tokens per field (E,T,C), a window of %lld timesteps\n",
              static_cast<long long>(sample.sample.timesteps.num_steps));
  for (size_t i = 0; i < sample.schema->fields.size(); ++i) {
    const auto& tokens = sample.sample.timesteps.fields[i].tokens;
    line(sample.schema->fields[i].name, shape(tokens),
         (tokens.size(2) == kPatchBytes ? "patch bytes: " : "ids: ") + first_values(tokens));
  }
}

void show_batch(const run::InspectedSample& sample, Agent& agent) {
  const auto batch =
      collate(std::vector<Sample>{sample.sample, {sample.sample.schema, slice(sample.sample.timesteps, {0, 1}), 0}});
  std::printf("  Batch: this window and its first timestep, padded (B,E,T,C); valid (B,E,T) says what is data\n");
  for (size_t i = 0; i < batch.fields.size(); ++i)
    line(sample.schema->fields[i].name, shape(batch.fields[i].tokens),
         std::to_string(batch.fields[i].valid.sum().item<int64_t>()) + " of " + std::to_string(batch.fields[i].valid.numel()) +
             " valid");
  const at::NoGradGuard no_grad;
  const auto view = to_padded(agent.embedder(), batch);
  std::printf("  Embedded without positions, in the order of the timestep (B,E,T,D)\n");
  for (size_t i = 0; i < view.fields.size(); ++i) line(view.names[i], shape(view.fields[i]), first_values(view.fields[i], 4));
  line("all", shape(view.sequence), "concatenated on T and flattened to (B, E * sum T, D)");
}

// What the layout holds of every slot, of every patch and of every target.
void show_layout_tensors(const TokenLayout& layout) {
  const std::vector<std::pair<const char*, const at::Tensor*>> tensors = {
      {"ids", &layout.ids},
      {"document", &layout.document},
      {"position", &layout.position},
      {"timestep", &layout.timestep},
      {"field", &layout.field},
      {"local", &layout.local},
      {"patch_index", &layout.patch_index},
      {"patch_row", &layout.patch_row},
      {"patch_column", &layout.patch_column},
      {"patch_number", &layout.patch_number},
      {"target_slots", &layout.target_slots},
      {"targets", &layout.targets},
  };
  for (const auto& [name, tensor] : tensors)
    if (tensor->numel() > 0) line(name, shape(*tensor), first_values(*tensor, 16));
  std::printf("    (id %lld is a patch, local %lld the one position of all actions)\n",
              static_cast<long long>(TokenLayout::kPatch), static_cast<long long>(TokenLayout::kActionPosition));
}

void show_layout(const run::InspectedSample& sample, const Tokenizer& tokenizer) {
  const auto& layout = sample.batch.layout;
  std::printf("  TokenLayout: %lld tokens in order, %lld patches of which %lld distinct, %lld targets\n",
              static_cast<long long>(layout.num_tokens()), static_cast<long long>(layout.patch_index.size(0)),
              static_cast<long long>(sample.batch.patches.size(0)), static_cast<long long>(layout.num_targets()));
  std::string text;
  int64_t patches = 0;
  for (const auto& row : run::token_table(sample.batch, *sample.schema, tokenizer)) {
    if (row.timestep > 0) break;
    if (row.ids.empty()) {
      ++patches;
      continue;
    }
    if (patches > 0) text += " [" + std::to_string(patches) + " patches]";
    patches = 0;
    text += " " + row.value + (row.target >= 0 ? "->" : "");
  }
  std::printf("    first timestep (-> marks slots whose next token is a target):%s\n", text.c_str());
  show_layout_tensors(layout);
}

void show_model(const run::InspectedSample& sample, const std::shared_ptr<Agent>& agent) {
  const at::NoGradGuard no_grad;
  const auto x = agent->embedder().forward(sample.batch);
  std::printf("  SequenceInput x (B,S,D): %s, first values %s\n", shape(x).c_str(), first_values(x).c_str());
  const auto hidden = agent->forward(sample.batch);
  std::printf("  hidden (B,S,D): %s, first values %s\n", shape(hidden).c_str(), first_values(hidden).c_str());
  NextTokenObjective objective(agent);
  const auto terms = objective.loss(sample.batch, {1.0});
  std::printf("  LossTerms: sum %.3f over %lld targets = %.3f nats a target (log of the vocabulary: %.3f)\n\n", terms.sums[0],
              static_cast<long long>(terms.counts[0]), terms.sums[0] / static_cast<double>(terms.counts[0]),
              std::log(static_cast<double>(agent->head().size(0))));
}

constexpr int64_t kRows = 2, kContext = 256;  // of the step that is shown

// Draw n is for lane n mod L: document k of row i is draw i + k L.
void show_row(int64_t row, const TokenLayout& layout, const data::Mixture& mixture, const std::vector<std::string>& names) {
  int64_t number = row, end = 0;
  std::printf("    row %lld:", static_cast<long long>(row));
  for (const auto& span : layout.documents) {
    if (span.row != row) continue;
    end = span.begin + span.length;
    std::printf(" %s [%lld,%lld)", names[mixture.draw(number).source].c_str(), static_cast<long long>(span.begin),
                static_cast<long long>(end));
    number += layout.rows;
  }
  std::printf(" pads [%lld,%lld)\n", static_cast<long long>(end), static_cast<long long>(layout.capacity));
}

void show_mixture(const data::Mixture& mixture, const std::vector<std::string>& names) {
  std::printf("  Mixture: which episode is drawn when, by seed and number of the draw alone\n   ");
  for (int64_t number = 0; number < 6; ++number) {
    const auto draw = mixture.draw(number);
    std::printf(" %lld: %s %lld;", static_cast<long long>(number), names[draw.source].c_str(),
                static_cast<long long>(draw.index));
  }
  std::printf(" ...\n");
}

// A global step as the trainer gets it: several documents a row, and the loss of each domain.
void show_step(const run::Parts& parts, const run::Registries& registries) {
  const auto sources = parts.sources(registries, data::Split::kTrain);
  std::printf("all of them, mixed\n");
  data::Loader loader(parts.config.data, sources, parts.tokenizer, parts.sequencer,
                      {.rows = kRows, .context = kContext, .prefetch = 1, .seed = static_cast<uint64_t>(parts.config.seed)});
  const auto& names = loader.domain_names();
  show_mixture(loader.mixture(), names);
  const auto step = loader.next();
  const auto& batch = step.micro_batches.front();
  std::printf("  Loader: %lld rows of %lld slots, packed with documents that do not see each other\n",
              static_cast<long long>(kRows), static_cast<long long>(kContext));
  for (int64_t row = 0; row < kRows; ++row) show_row(row, batch.layout, loader.mixture(), names);
  std::printf("  MicroBatch: ids (B,S) %s, patches (U,768) %s, %lld tokens, %lld targets\n", shape(batch.layout.ids).c_str(),
              shape(batch.patches).c_str(), static_cast<long long>(batch.layout.num_tokens()),
              static_cast<long long>(batch.layout.num_targets()));
  const at::NoGradGuard no_grad;
  NextTokenObjective objective(parts.agent);
  const auto terms = objective.loss(batch, std::vector<double>(sources.size(), 1.0));
  std::printf("  LossTerms, divided once by the weighted number of targets:\n");
  for (size_t d = 0; d < sources.size(); ++d)
    std::printf("    %-12s sum %.3f over %lld targets\n", names[d].c_str(), terms.sums[d],
                static_cast<long long>(terms.counts[d]));
}

constexpr const char* kConfig = R"(
[model]
preset = "tiny"
[[data]]
source = "four_rooms"
max_steps = 4
[[data]]
source = "point_maze"
max_steps = 2
[[data]]
source = "shapes_qa"
[[data]]
source = "stories"
)";

void tour(const std::string& tokenizer) {
  const run::Registries registries;
  auto parts =
      run::Parts::build(run::parse_config(kConfig, "tour", {"run.device=cpu", "tokens.text=" + tokenizer}), registries);
  parts.agent->eval();
  for (const auto& entry : parts.config.data) {
    const auto sample = run::inspect_sample(parts, registries, entry.source, 1);
    std::printf("%s\n", entry.source.c_str());
    show_episode(sample);
    show_timesteps(sample);
    show_batch(sample, *parts.agent);
    show_layout(sample, *parts.tokenizer);
    show_model(sample, parts.agent);
  }
  show_step(parts, registries);
}

}  // namespace

void add_tour(CLI::App& app) {
  auto* command = app.add_subcommand(
      "tour", "Walk one sample of each built-in world, and a step of all, from raw values to loss, printing shapes and values");
  auto tokenizer = std::make_shared<std::string>(run::TokenOptions{}.text);
  command->add_option("--tokenizer", *tokenizer, "as tokens.text of a configuration")->capture_default_str();
  command->callback([tokenizer] { tour(*tokenizer); });
}

}  // namespace mugato::program
