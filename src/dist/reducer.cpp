// The only file that sees c10d::Reducer, an inner part of LibTorch: its constructor is that of 2.11.
#include "mugato/dist/reducer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <torch/csrc/distributed/c10d/logger.hpp>
#include <torch/csrc/distributed/c10d/reducer.hpp>

#include "group_internal.h"
#include "mugato/core/error.h"

namespace mugato::dist {
namespace {

// Adds a bucket up, where LibTorch's own would divide it by the number of processes first; smaller on the way, if asked.
class SumHook : public c10d::CppCommHookInterface<ProcessGroupPtr> {
 public:
  SumHook(ProcessGroupPtr processes, bool in_bf16) : CppCommHookInterface(std::move(processes)), in_bf16_(in_bf16) {}

  c10::intrusive_ptr<c10::ivalue::Future> runHook(c10d::GradBucket& bucket) override {
    auto& gradients = bucket.getBufferRef();
    const bool is_smaller = in_bf16_ && gradients.scalar_type() == at::kFloat;
    std::vector<at::Tensor> sent{is_smaller ? gradients.to(at::kBFloat16) : gradients};
    const auto type = gradients.scalar_type();
    return state_->allreduce(sent)->getFuture()->then(
        [type](c10::ivalue::Future& future) {
          const auto value = future.value();
          return c10::IValue((value.isTensorList() ? value.toTensorVector()[0] : value.toTensor()).to(type));
        },
        c10::AnyType::get());
  }

 private:
  bool in_bf16_;
};

// What two processes have to agree on before any gradient travels.
std::string description(const GradientReducer::NamedParameters& parameters) {
  auto all = nlohmann::json::array();
  for (const auto& [name, parameter] : parameters)
    all.push_back({name, parameter.sizes().vec(), c10::toString(parameter.scalar_type())});
  return all.dump();
}

void check_same(const GradientReducer::NamedParameters& parameters, Group& group) {
  const auto all = group.all_gather(description(parameters));
  const auto& first = all.front();
  for (size_t r = 1; r < all.size(); ++r) {
    if (all[r] == first) continue;
    const auto a = nlohmann::json::parse(first), b = nlohmann::json::parse(all[r]);
    size_t i = 0;
    while (i < a.size() && i < b.size() && a[i] == b[i]) ++i;
    const auto at = [&](const nlohmann::json& list) { return i < list.size() ? list[i].dump() : std::string("nothing"); };
    throw Error("the models of rank 0 and rank " + std::to_string(r) + " differ: parameter " + std::to_string(i) + " is " +
                    at(a) + " and " + at(b),
                "start all processes with the same configuration");
  }
}

}  // namespace

struct GradientReducer::Impl {
  Group& group;
  std::vector<at::Tensor> parameters;
  std::shared_ptr<c10d::Reducer> reducer;
  std::shared_ptr<c10d::Logger> logger;  // the reducer tells it, unasked, when other parameters are used than before
};

void declare(KeyTable& keys, const std::string& prefix, ReducerOptions& options) {
  keys.add(prefix + "bucket_mib", &options.bucket_mib, "MiB of gradients that travel together", positive());
  keys.add(prefix + "compression", &options.compression, "of gradients on their way", one_of({"none", "bf16"}));
}

GradientReducer::GradientReducer(NamedParameters parameters, Group& group, ReducerOptions options) {
  if (group.size() == 1) return;
  std::erase_if(parameters, [](const auto& named) { return !named.second.requires_grad(); });
  check_same(parameters, group);
  impl_.reset(new Impl{group, {}, {}, {}});
  std::unordered_map<size_t, std::string> names;
  for (auto& [name, parameter] : parameters) {
    const at::NoGradGuard no_grad;
    group.broadcast(parameter.detach());
    names[impl_->parameters.size()] = name;
    impl_->parameters.push_back(parameter);
  }
  const auto limit = static_cast<size_t>(options.bucket_mib * 1048576.0);
  const size_t first_limit = std::min<size_t>(limit, c10d::kDefaultFirstBucketBytes);
  auto [buckets, limits] = c10d::compute_bucket_assignment_by_size(impl_->parameters, {first_limit, limit});
  std::reverse(buckets.begin(), buckets.end());  // the last layer's gradients are the first
  const auto& processes = group.impl()->processes;
  impl_->reducer = std::make_shared<c10d::Reducer>(
      impl_->parameters, std::move(buckets), processes, std::vector<bool>(impl_->parameters.size(), false),
      static_cast<int64_t>(limit), /*find_unused_parameters=*/true, options.gradients_are_views, std::move(names),
      static_cast<int64_t>(first_limit), /*skip_all_reduce_unused_params=*/false, /*use_python_reducer=*/false,
      std::vector<int64_t>{});
  impl_->logger = std::make_shared<c10d::Logger>(impl_->reducer);
  impl_->reducer->set_logger(impl_->logger);
  impl_->reducer->register_comm_hook(std::make_unique<SumHook>(processes, options.compression == "bf16"));
}

GradientReducer::~GradientReducer() = default;

void GradientReducer::backward(const at::Tensor& loss) {
  if (!impl_) {
    if (loss.defined()) loss.backward();
    return;
  }
  impl_->group.guarded("adding up gradients", [&] {
    // A pass that reaches no parameter would never end: the first one that it reaches lets the unused ones go. The last one is
    // nearest to the loss, so that a process which has one uses it too.
    const auto reached = loss.defined() ? loss : impl_->parameters.back().sum() * 0.0;
    impl_->reducer->prepare_for_forward();
    const auto begin = std::chrono::steady_clock::now();
    impl_->reducer->prepare_for_backward({reached});
    reached.backward();
    const std::chrono::duration<double> all = std::chrono::steady_clock::now() - begin;
    const auto made = impl_->reducer->get_backward_stats();
    exposed_seconds_ = all.count() - 1e-9 * static_cast<double>(*std::max_element(made.begin(), made.end()));
  });
}

}  // namespace mugato::dist
