#include "mugato/token/discrete.h"

#include "index_text.h"
#include "mugato/core/error.h"

namespace mugato {
namespace {

// Channel c of a cell: values in [0, size), offsets in [begin, begin + size).
struct Channel {
  int64_t begin = 0, size = 0;
};

std::vector<Channel> channels_of(const std::vector<int64_t>& num_values) {
  std::vector<Channel> channels;
  int64_t begin = 0;
  for (const int64_t size : num_values) {
    channels.push_back({begin, size});
    begin += size;
  }
  return channels;
}

void check_declaration(const std::vector<int64_t>& num_values, const std::string& field) {
  if (num_values.empty())
    throw Error("field '" + field + "': no number of values is declared", "declare num_values, one entry or one per channel");
  for (size_t c = 0; c < num_values.size(); ++c)
    if (num_values[c] < 1)
      throw Error("field '" + field + "': num_values[" + std::to_string(c) + "] is " + std::to_string(num_values[c]),
                  "a discrete value has at least one choice");
}

bool has_channel_axis(at::IntArrayRef shape, size_t num_channels) {
  return num_channels == 1 || (!shape.empty() && shape.back() == static_cast<int64_t>(num_channels));
}

template <class T>
[[noreturn]] void throw_first_bad(const T* values, at::IntArrayRef shape, const std::vector<Channel>& channels,
                                  const std::string& field) {
  for (int64_t i = 0;; ++i) {  // the caller saw a bad value, so the loop ends
    const size_t c = static_cast<size_t>(i) % channels.size();
    const int64_t value = static_cast<int64_t>(values[i]);
    if (value >= 0 && value < channels[c].size) continue;
    throw Error("field '" + field + "': value " + std::to_string(value) + " at " + index_text(i, shape) + " is not in [0, " +
                    std::to_string(channels[c].size) + ")" + (channels.size() > 1 ? " of channel " + std::to_string(c) : ""),
                "correct the data, or declare the field with more values");
  }
}

// Adds the channels' begins; whether a value is out of range is gathered in one flag, so that the loop stays free of jumps.
template <class T>
void encode_values(const at::Tensor& values, const std::vector<Channel>& channels, const std::string& field, int64_t* out) {
  const T* in = values.const_data_ptr<T>();
  const int64_t num_channels = static_cast<int64_t>(channels.size());
  const int64_t num_cells = values.numel() / num_channels;
  uint64_t bad = 0;
  if (num_channels == 1) {
    const uint64_t limit = static_cast<uint64_t>(channels[0].size);
    for (int64_t i = 0; i < num_cells; ++i) {
      const int64_t value = static_cast<int64_t>(in[i]);
      bad |= static_cast<uint64_t>(static_cast<uint64_t>(value) >= limit);
      out[i] = value;
    }
  } else {
    for (int64_t cell = 0; cell < num_cells; ++cell)
      for (int64_t c = 0; c < num_channels; ++c) {
        const Channel channel = channels[static_cast<size_t>(c)];
        const int64_t i = cell * num_channels + c, value = static_cast<int64_t>(in[i]);
        bad |= static_cast<uint64_t>(static_cast<uint64_t>(value) >= static_cast<uint64_t>(channel.size));
        out[i] = static_cast<int64_t>(static_cast<uint64_t>(channel.begin) + static_cast<uint64_t>(value));  // bad ones wrap
      }
  }
  if (bad != 0) throw_first_bad(in, values.sizes(), channels, field);
}

}  // namespace

int64_t DiscreteCodec::size() const {
  int64_t sum = 0;
  for (const int64_t size : num_values) sum += size;
  return sum;
}

at::Tensor DiscreteCodec::encode(const at::Tensor& values, const std::string& field) const {
  check_declaration(num_values, field);
  if (!at::isIntegralType(values.scalar_type(), /*includeBool=*/true))
    throw Error("field '" + field + "': discrete values are of type " + c10::toString(values.scalar_type()),
                "give integers or booleans, or declare the field continuous");
  if (!has_channel_axis(values.sizes(), num_values.size()))
    throw Error("field '" + field + "': values of shape " + shape_text(values.sizes()) + " do not end in the " +
                    std::to_string(num_values.size()) + " channels that are declared",
                "the last axis holds the channels of a cell");
  TORCH_CHECK(values.is_cpu(), "field '", field, "': discrete values are encoded on the CPU");

  const at::Tensor contiguous = values.contiguous();
  at::Tensor offsets = at::empty(values.sizes(), at::kLong);
  int64_t* out = offsets.mutable_data_ptr<int64_t>();
  const std::vector<Channel> channels = channels_of(num_values);
  switch (values.scalar_type()) {
    case at::kByte:
      encode_values<uint8_t>(contiguous, channels, field, out);
      break;
    case at::kBool:
      encode_values<bool>(contiguous, channels, field, out);
      break;
    case at::kInt:
      encode_values<int32_t>(contiguous, channels, field, out);
      break;
    case at::kLong:
      encode_values<int64_t>(contiguous, channels, field, out);
      break;
    default:
      encode_values<int64_t>(contiguous.to(at::kLong), channels, field, out);
  }
  return offsets;
}

at::Tensor DiscreteCodec::decode(const at::Tensor& offsets) const {
  TORCH_CHECK(!num_values.empty(), "a discrete codec without a number of values");
  TORCH_CHECK(has_channel_axis(offsets.sizes(), num_values.size()), "offsets of shape ", offsets.sizes(), " for ",
              num_values.size(), " channels");
  const at::Tensor contiguous = offsets.to(at::kLong).contiguous();
  at::Tensor values = at::empty(offsets.sizes(), at::kLong);
  const int64_t* in = contiguous.const_data_ptr<int64_t>();
  int64_t* out = values.mutable_data_ptr<int64_t>();
  const std::vector<Channel> channels = channels_of(num_values);
  size_t c = 0;
  for (int64_t i = 0; i < contiguous.numel(); ++i) {
    const int64_t value = in[i] - channels[c].begin;
    TORCH_CHECK(value >= 0 && value < channels[c].size, "discrete offset ", in[i], " at ", index_text(i, offsets.sizes()),
                " is not in [", channels[c].begin, ", ", channels[c].begin + channels[c].size, ")");
    out[i] = value;
    if (++c == channels.size()) c = 0;
  }
  return values;
}

}  // namespace mugato
