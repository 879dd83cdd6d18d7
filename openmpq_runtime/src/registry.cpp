#include "registry.hpp"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <unordered_map>

#include "state.hpp"

namespace openmpq {

namespace {

constexpr std::size_t looked_at = 512; // bytes of a region's argument: objects that hold circuits are small

struct Registry {
  std::mutex mutex;
  std::unordered_map<const void *, openmpq_circuit *> circuits;
};

Registry &registry() { // never destroyed: circuits may be static objects of the program
  static auto *once = new Registry;
  return *once;
}

} // namespace

void remember(const void *address, openmpq_circuit *circuit) {
  std::lock_guard lock(registry().mutex);
  registry().circuits[address] = circuit;
}

void forget(const void *address) noexcept {
  std::lock_guard lock(registry().mutex);
  registry().circuits.erase(address);
}

int bind_argument(const void *value, std::size_t size, std::int32_t qpu) noexcept {
  std::lock_guard lock(registry().mutex);
  const auto &circuits = registry().circuits;
  int bound = 0;
  auto bind = [&](const void *address) {
    auto found = circuits.find(address);
    if (found == circuits.end())
      return;
    found->second->bound.store(qpu, std::memory_order_relaxed);
    ++bound;
  };
  bind(value);
  auto *bytes = static_cast<const char *>(value);
  std::size_t first = (8 - reinterpret_cast<std::uintptr_t>(bytes) % 8) % 8;
  for (std::size_t at = first; bytes && at + 8 <= std::min(size, looked_at); at += 8) {
    void *word;
    std::memcpy(&word, bytes + at, 8);
    bind(word);
  }
  return bound;
}

void lock_registry() noexcept {
  registry().mutex.lock();
}
void unlock_registry() noexcept {
  registry().mutex.unlock();
}

} // namespace openmpq
