// A Unix socket for tests that look at what travels.
#pragma once

#include <cstdlib>
#include <cstring>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

class Server {
public:
  Server() {
    char folder[] = "/tmp/openmpq-unit-XXXXXX";
    folder_ = mkdtemp(folder);
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::strcpy(name.sun_path, path().c_str());
    fd_ = socket(AF_UNIX, SOCK_STREAM, 0);
    if (bind(fd_, reinterpret_cast<sockaddr *>(&name), sizeof name) != 0 || listen(fd_, 8) != 0)
      std::abort();
  }
  ~Server() {
    ::close(fd_);
    unlink(path().c_str());
    rmdir(folder_.c_str());
  }
  std::string address() const { return "unix:" + path(); }
  int accept() { return ::accept(fd_, nullptr, nullptr); }
  void close(int peer) { ::close(peer); }

  void write(int peer, const std::string &bytes) {
    for (std::size_t sent = 0; sent < bytes.size();)
      sent += std::size_t(::send(peer, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL));
  }
  void write_frame(int peer, const std::string &body) {
    std::string header(4, '\0');
    for (int i = 0; i < 4; ++i)
      header[i] = static_cast<char>(body.size() >> (24 - 8 * i));
    write(peer, header + body);
  }
  std::string read(int peer, std::size_t n) {
    std::string bytes(n, '\0');
    for (std::size_t got = 0; got < n;)
      got += std::size_t(::recv(peer, bytes.data() + got, n - got, 0));
    return bytes;
  }
  std::string read_frame(int peer) {
    std::size_t n = 0;
    for (char c : read(peer, 4))
      n = n << 8 | static_cast<unsigned char>(c);
    return read(peer, n);
  }

private:
  std::string path() const { return folder_ + "/socket"; }
  std::string folder_;
  int fd_;
};
