#include <doctest/doctest.h>

#include <thread>

#include "server.hpp"
#include "stream.hpp"

using namespace openmpq;

TEST_CASE("an address that nobody serves, or that is none, is unreachable and says so") {
  auto text = [](const std::string &address) {
    try {
      Stream stream(address, in_seconds(1));
    } catch (const Unreachable &error) {
      return error.text;
    }
    return std::string();
  };
  CHECK(text("unix:/nonexistent/socket").find("nobody answers") != std::string::npos);
  CHECK(text("unix:/" + std::string(200, 'x')).find("too long") != std::string::npos);
  CHECK(text("tcp:127.0.0.1:1").find("nobody answers") != std::string::npos);
  CHECK(text("tcp:nowhere").find("Use unix:/path") != std::string::npos);
  CHECK(text("http://x").find("Use unix:/path") != std::string::npos);
}

TEST_CASE("bytes that come in pieces are read whole, and a time-out loses none") {
  Server server;
  Stream stream(server.address(), in_seconds(5));
  int peer = server.accept();
  server.write(peer, "ab");
  CHECK_THROWS_AS(stream.peek(4, in_seconds(0.05)), TimedOut);
  server.write(peer, "cdef");
  CHECK(stream.peek(4, in_seconds(5)) == "abcd");
  stream.drop(4);
  CHECK(stream.peek(2, in_seconds(5)) == "ef");
  CHECK_FALSE(stream.closed());
  server.close(peer);
  stream.drop(2);
  CHECK_THROWS_AS(stream.peek(1, in_seconds(5)), Lost);
  CHECK(stream.closed());
}

TEST_CASE("what is larger than the socket's buffer goes through") {
  Server server;
  Stream stream(server.address(), in_seconds(5));
  int peer = server.accept();
  const std::string large(std::size_t(8) << 20, 'x');
  std::thread writer([&] { server.write(peer, large); });
  CHECK(stream.peek(large.size(), in_seconds(20)) == large);
  writer.join();
  server.close(peer);
}
