// Where the time of a training step goes: the same parts as training, timed one by one; and how fast data are made alone.
#pragma once

#include "mugato/run/run.h"

namespace mugato::run {

struct BenchReport {
  int64_t steps = 0;
  double tokens_per_second = 0.0;         // slots of rows, pads included
  double useful_tokens_per_second = 0.0;  // tokens that are not pads
  // Mean seconds of a step. data: waiting for the loader; embed: bytes and ids to the device and to vectors; forward: the
  // sequence model; loss: head and cross-entropy; backward and optimizer as they say (clipping is the optimizer's).
  double data = 0.0, embed = 0.0, forward = 0.0, loss = 0.0, backward = 0.0, optimizer = 0.0;
  double step = 0.0;
  double system_share = 0.0;  // of the processor time: page faults and the like
  int64_t peak_memory = 0;    // bytes: resident on the CPU, or allocated on the GPU
  int64_t parameters = 0;
};

// Runs `warmup` steps that do not count, then `steps` that do.
BenchReport bench(const RunConfig& config, const Registries& registries, int64_t warmup, int64_t steps);

// Of the steps that count, as the loader hands them to training.
struct DataReport {
  int64_t steps = 0;
  int64_t samples = 0, timesteps = 0, tokens = 0;
  double processor_seconds = 0.0;  // of all threads of the process
  double wall_seconds = 0.0;
  int64_t images = 0;            // that were decoded for them; 0: the data hold none that are encoded
  int64_t repeated_images = 0;   // of them, the same file as at the timestep before
  double decoder_seconds = 0.0;  // of the processor, for all of those images by the decoder alone
  int64_t peak_memory = 0;       // bytes, resident
};

// Makes the steps of training by one thread and without a model. The images of the episodes that were read are then decoded
// once more, and nothing else.
DataReport bench_data(const RunConfig& config, const Registries& registries, int64_t warmup, int64_t steps);

}  // namespace mugato::run
