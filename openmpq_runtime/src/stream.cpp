#include "stream.hpp"

#include <cerrno>
#include <cstring>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>
#include <utility>

namespace openmpq {

namespace {

constexpr std::size_t chunk = 1 << 14;

std::string because(int error) {
  return std::strerror(error);
}

/// Notices within a minute that the machine on the other side is gone.
void keep_alive(int fd) {
  int on = 1, idle = 20, interval = 10, times = 4;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &times, sizeof times);
}

} // namespace

Deadline in_seconds(double seconds) {
  return Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

Stream::Stream(const std::string &address, Deadline deadline) {
  auto colon = address.rfind(':');
  try {
    if (address.rfind("unix:/", 0) == 0)
      connect_unix(address.substr(5), deadline);
    else if (address.rfind("tcp:", 0) == 0 && colon > 4)
      connect_tcp(address.substr(4, colon - 4), address.substr(colon + 1), deadline);
    else
      throw Unreachable{"OPENMPQ_POOL is '" + address + "'. Use unix:/path/of/socket or tcp:HOST:PORT."};
  } catch (...) {
    if (fd_ >= 0)
      ::close(fd_);
    throw;
  }
}

Stream::~Stream() {
  ::close(fd_);
}

void Stream::connect_unix(const std::string &path, Deadline deadline) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  if (path.size() >= sizeof name.sun_path)
    throw Unreachable{"the path of the pool's socket is too long for a Unix socket: " + path};
  std::memcpy(name.sun_path, path.data(), path.size());
  fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  while (fd_ >= 0 && connect(fd_, reinterpret_cast<sockaddr *>(&name), sizeof name) != 0) {
    // EAGAIN: the bridge is there, but many connect at once.
    if (errno != EINTR && (errno != EAGAIN || Clock::now() > *deadline))
      throw Unreachable{"nobody answers at unix:" + path + ": " + because(errno) + "."};
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  if (fd_ < 0)
    throw Unreachable{"no socket can be made: " + because(errno) + "."};
}

void Stream::connect_tcp(const std::string &host, const std::string &port, Deadline deadline) {
  is_tcp_ = true;
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  if (int error = getaddrinfo(host.c_str(), port.c_str(), &hints, &found))
    throw Unreachable{"the host of tcp:" + host + ":" + port + " is not known: " + gai_strerror(error) + "."};
  std::unique_ptr<addrinfo, void (*)(addrinfo *)> addresses(found, freeaddrinfo);
  int error = 0;
  for (addrinfo *each = found; each; each = each->ai_next) {
    fd_ = socket(each->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    error = fd_ < 0 || connect(fd_, each->ai_addr, each->ai_addrlen) == 0 ? 0 : errno;
    if (fd_ >= 0 && error == EINPROGRESS) {
      socklen_t size = sizeof error;
      try {
        wait(POLLOUT, deadline);
        getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
      } catch (const TimedOut &) {
        error = ETIMEDOUT;
      }
    }
    if (fd_ >= 0 && error == 0)
      break;
    if (fd_ >= 0)
      ::close(std::exchange(fd_, -1));
  }
  if (fd_ < 0)
    throw Unreachable{"nobody answers at tcp:" + host + ":" + port + ": " + because(error) + "."};
  keep_alive(fd_);
}

void Stream::wait(short events, Deadline deadline) const {
  pollfd waited{fd_, events, 0};
  while (true) {
    int left = -1;
    if (deadline) {
      auto ms = std::chrono::ceil<std::chrono::milliseconds>(*deadline - Clock::now()).count();
      left = int(std::max<std::int64_t>(0, std::min<std::int64_t>(ms, 1'000'000)));
    }
    int ready = poll(&waited, 1, left);
    if (ready > 0)
      return;
    if (ready == 0 && Clock::now() >= *deadline)
      throw TimedOut{};
    if (ready < 0 && errno != EINTR)
      throw Lost{"connection lost: " + because(errno) + "."};
  }
}

void Stream::send(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0)
      bytes.remove_prefix(std::size_t(sent));
    else if (errno == EAGAIN)
      wait(POLLOUT, std::nullopt);
    else if (errno != EINTR)
      throw Lost{"connection lost while sending: " + because(errno) + "."};
  }
}

std::string_view Stream::peek(std::size_t n, Deadline deadline) {
  if (begin_) {
    buffer_.erase(0, begin_);
    begin_ = 0;
  }
  while (buffer_.size() < n) {
    std::size_t before = buffer_.size();
    if (deadline)
      wait(POLLIN, deadline);
    buffer_.resize(std::max(before + chunk, std::min(n, before + 64 * chunk)));
    ssize_t got = ::recv(fd_, buffer_.data() + before, buffer_.size() - before, 0);
    int error = errno;
    buffer_.resize(before + (got > 0 ? std::size_t(got) : 0));
    if (got == 0)
      throw Lost{"the pool closed the connection."};
    if (got < 0 && error == EAGAIN)
      wait(POLLIN, deadline);
    else if (got < 0 && error != EINTR)
      throw Lost{"connection lost: " + because(error) + "."};
  }
  return std::string_view(buffer_).substr(0, n);
}

bool Stream::closed() const noexcept {
  char byte;
  ssize_t got = ::recv(fd_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
}

} // namespace openmpq
