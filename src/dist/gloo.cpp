// The only file that sees gloo's headers: Debian's, older than the library in LibTorch.
#include "group_internal.h"
#include "mugato/core/error.h"

#if MUGATO_GLOO
#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

namespace mugato::dist {
namespace {

// A numeric address of this machine, as the system would choose it to send to `there`.
std::string local_address(const addrinfo& there) {
  const int socket = ::socket(there.ai_family, SOCK_DGRAM, 0);
  if (socket < 0) return {};
  sockaddr_storage own{};
  socklen_t length = sizeof own;
  char text[NI_MAXHOST] = {};
  const bool found =
      ::connect(socket, there.ai_addr, there.ai_addrlen) == 0 &&  // sends nothing
      ::getsockname(socket, reinterpret_cast<sockaddr*>(&own), &length) == 0 &&
      ::getnameinfo(reinterpret_cast<sockaddr*>(&own), length, text, sizeof text, nullptr, 0, NI_NUMERICHOST) == 0;
  ::close(socket);
  return found ? text : "";
}

}  // namespace

std::string address_towards(const std::string& host, uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* list = nullptr;
  if (host.empty() || ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list) != 0) return {};
  std::string address;
  for (const auto* entry = list; entry && address.empty(); entry = entry->ai_next) address = local_address(*entry);
  ::freeaddrinfo(list);
  return address;
}

void add_gloo(const ProcessGroupPtr& processes, const StorePtr& store, const std::string& address,
              std::chrono::milliseconds timeout) {
  using Gloo = c10d::ProcessGroupGloo;
  const auto options = Gloo::Options::create(timeout);
  if (const char* name = std::getenv("GLOO_SOCKET_IFNAME"); name && *name)
    options->devices.push_back(Gloo::createDeviceForInterface(name));
  else options->devices.push_back(address.empty() ? Gloo::createDefaultDevice() : Gloo::createDeviceForHostname(address));
  const auto backend = c10::make_intrusive<Gloo>(store, processes->getRank(), processes->getSize(), options);
  for (const auto type : {c10::DeviceType::CPU, c10::DeviceType::CUDA})
    processes->setBackend(type, c10d::ProcessGroup::BackendType::GLOO, backend);
  processes->setDefaultBackend(c10d::ProcessGroup::BackendType::GLOO);
}

}  // namespace mugato::dist
#else
namespace mugato::dist {

std::string address_towards(const std::string&, uint16_t) { return {}; }

void add_gloo(const ProcessGroupPtr&, const StorePtr&, const std::string&, std::chrono::milliseconds) {
  throw Error("several processes need gloo, and this mugato was built without its headers",
              "install libgloo-dev (tools/setup does) and build again");
}

}  // namespace mugato::dist
#endif
