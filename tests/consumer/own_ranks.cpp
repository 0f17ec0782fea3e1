// A model that knows nothing of mugato, trained by several processes: each takes its share of the samples.
//
//   torchrun --nproc-per-node 2 --no-python own_ranks
#include <torch/torch.h>

#include <cstdio>

#include "mugato/dist/reducer.h"

int main() try {
  namespace dist = mugato::dist;
  auto group = dist::Group::join(dist::find_launch({}, dist::process_environment()), {});
  std::fprintf(stderr, "%s\n", group.text().c_str());

  torch::manual_seed(group.rank());  // all start from the weights of rank 0, whatever theirs were
  torch::nn::Sequential model(torch::nn::Linear(3, 16), torch::nn::Tanh(), torch::nn::Linear(16, 1));
  dist::GradientReducer::NamedParameters parameters;
  for (const auto& item : model->named_parameters()) parameters.emplace_back(item.key(), item.value());
  dist::GradientReducer reducer(parameters, group);
  torch::optim::SGD optimizer(model->parameters(), 0.1);

  constexpr int64_t kSamples = 64;  // of a step, over all processes
  double loss = 0.0;
  for (int64_t step = 0; step < 200; ++step) {
    torch::manual_seed(1000 + step);
    const auto x = torch::randn({kSamples, 3}), y = (x.prod(1, true) + x.sum(1, true)).sin();
    const auto share = torch::arange(group.rank(), kSamples, group.size());
    const auto sum = (model->forward(x.index_select(0, share)) - y.index_select(0, share)).square().sum();
    optimizer.zero_grad();
    reducer.backward(sum / kSamples);  // gradients are sums over the processes, so all divide by the samples of all
    optimizer.step();
    const auto total = sum.detach().clone();
    group.all_reduce(total);
    loss = total.item<double>() / kSamples;
  }
  if (group.rank() == 0) std::printf("loss %.9f\n", loss);
  group.barrier();
} catch (const std::exception& failure) {
  std::fprintf(stderr, "%s\n", failure.what());
  return 1;
}
