// A stream socket to the bridge: connected with a time limit, read through a buffer.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace openmpq {

using Clock = std::chrono::steady_clock;
using Deadline = std::optional<Clock::time_point>; // none: for ever

Deadline in_seconds(double seconds);

struct Unreachable { // nobody answers at the address
  std::string text;
};
struct Lost { // the connection broke
  std::string text;
};
struct TimedOut {};

class Stream {
public:
  /// address: unix:/path or tcp:HOST:PORT. Throws Unreachable.
  Stream(const std::string &address, Deadline deadline);
  ~Stream();
  Stream(const Stream &) = delete;
  Stream &operator=(const Stream &) = delete;

  /// Throws Lost.
  void send(std::string_view bytes);
  /// The next n bytes, which stay the next ones until they are dropped. Throws Lost, TimedOut (it can be called again).
  std::string_view peek(std::size_t n, Deadline deadline);
  void drop(std::size_t n) noexcept { begin_ += n; }
  /// Whether the other side has closed it; looks without waiting.
  bool closed() const noexcept;
  /// Whether it is to another machine, or could be: then a token is proved.
  bool is_tcp() const noexcept { return is_tcp_; }

private:
  void connect_unix(const std::string &path, Deadline deadline);
  void connect_tcp(const std::string &host, const std::string &port, Deadline deadline);
  void wait(short events, Deadline deadline) const;

  int fd_ = -1;
  bool is_tcp_ = false;
  std::string buffer_;
  std::size_t begin_ = 0; // of what was read and not yet taken
};

} // namespace openmpq
