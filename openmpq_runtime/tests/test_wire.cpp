// What is sent is the golden text, letter by letter; what the golden text says is what is read.

#include <doctest/doctest.h>

#include <cerrno>
#include <future>

#include "connection.hpp"
#include "golden.hpp"
#include "linking.hpp"
#include "server.hpp"

using namespace openmpq;

namespace {

const std::string client = "0123456789abcdef0123456789abcdef";

Settings to(const Server &server) {
  Settings settings{};
  settings.pool = server.address();
  settings.connect_timeout_s = 10;
  return settings;
}

/// Removes the two fields of hello that depend on the process.
std::string without_process(std::string hello) {
  auto cut = [&](const std::string &from, const std::string &until) {
    std::size_t begin = hello.find(from);
    hello.erase(begin, hello.find(until, begin + from.size()) - begin);
  };
  cut("\"name\":", "\"rank\":");
  return hello;
}

struct Connected {
  Connected() {
    auto opened = std::async(std::launch::async, [&] { return std::make_unique<Connection>(to(server), client); });
    peer = server.accept();
    hello = server.read_frame(peer);
    server.write_frame(peer, golden_text("welcome"));
    connection = opened.get();
  }
  ~Connected() { server.close(peer); }

  Server server;
  int peer = -1;
  std::string hello;
  std::unique_ptr<Connection> connection;
};

Job two_rows() {
  Circuit circuit(2);
  std::int32_t q0 = 0, q1 = 1, both[] = {0, 1};
  Angle plain{0.1, 0.0, -1}, named{0.5, 2.0, circuit.parameter("theta")};
  circuit.gate("h", &q0, 1, nullptr, 0);
  circuit.gate("ry", &q1, 1, &plain, 1);
  circuit.gate("rz", &q1, 1, &named, 1);
  circuit.gate("cx", both, 2, nullptr, 0);
  circuit.measure(nullptr, 0, "meas");
  Job job;
  job.program = circuit.program();
  job.device_id = "ion0";
  job.priority = "HIGH";
  job.shots = 100;
  job.seed = 7;
  job.rows = {0.1, 0.25, 0.1, -1.5e-7};
  job.n_rows = job.n_columns = 2;
  job.n_bits = 2;
  return job;
}

} // namespace

TEST_CASE("hello and welcome") {
  Connected c;
  CHECK(without_process(c.hello) == without_process(golden_text("hello")));
  CHECK(c.connection->server() == "fedcba9876543210fedcba9876543210");
  REQUIRE(c.connection->qpus().size() == 2);
  CHECK(c.connection->qpus()[1].device_id == "sv0");
  CHECK(c.connection->qpus()[1].n_qubits == 14);
}

TEST_CASE("a program travels once") {
  Connected c;
  Job job = two_rows();
  c.connection->submit(job, 1, 1, true);
  CHECK(c.server.read_frame(c.peer) == golden_text("submit"));
  job.device_id = "qubits>=2";
  job.priority = "MEDIUM";
  job.seed = -1;
  job.rows = {0.1 + 0.2, 3.141592653589793};
  job.n_rows = 1;
  c.connection->submit(job, 2, 2, false);
  CHECK(c.server.read_frame(c.peer) == golden_text("submit_again"));
  c.connection->cancel(2);
  CHECK(c.server.read_frame(c.peer) == golden_text("cancel"));
}

TEST_CASE("a program that 64 others have pushed out is sent again") {
  Connected c;
  Job job = two_rows();
  const std::string first = job.program;
  std::int64_t request = 0;
  auto travels = [&](const std::string &program) {
    job.program = program;
    ++request;
    c.connection->submit(job, request, request, true);
    return !Json::parse(c.server.read_frame(c.peer))["program"].string().empty();
  };
  CHECK(travels(first));
  for (std::size_t i = 1; i < 64; ++i)
    CHECK(travels(first + std::string(i, ' ')));
  CHECK_FALSE(travels(first));
  CHECK(travels(first + std::string(64, ' ')));
  CHECK(travels(first));
}

TEST_CASE("a script travels by name, with its data") {
  Connected c;
  double angles[] = {0.5, 1.0}, energy = 42.0;
  Job job;
  job.script = "energy.py";
  job.priority = "LOW";
  job.arrays = {{"angles", angles, 2, OPENMPQ_TO}, {"energy", &energy, 1, OPENMPQ_FROM}};
  c.connection->submit(job, 3, 2, true);
  CHECK(c.server.read_frame(c.peer) == golden_text("script"));
  SharedResult result = read_answer(golden_file("arrays"), job);
  CHECK(result->status == OPENMPQ_OK);
  CHECK(energy == -1.25);
}

TEST_CASE("answers are read") {
  Job job = two_rows();
  SharedResult result = read_answer(golden_file("result"), job);
  REQUIRE(result->status == OPENMPQ_OK);
  CHECK(result->counts == std::vector<Counts>{{{"00", 60}, {"11", 40}}, {{"01", 100}}});
  CHECK(result->device == "ion0");
  CHECK(result->queue_s == 0.25);
  CHECK(result->run_s == 0.05);
  SharedResult failed = read_answer(golden_file("failed"), job);
  CHECK(failed->status == OPENMPQ_NO_DEVICE);
  CHECK(failed->error.find("Known: 'ion0'") != std::string::npos);
  job.n_rows = 3;
  CHECK(read_answer(golden_file("result"), job)->status == OPENMPQ_INTERNAL);
}

TEST_CASE("a bridge that refuses is quoted") {
  Server server;
  auto opened = std::async(std::launch::async, [&] {
    try {
      Connection connection(to(server), client);
    } catch (const Refused &refused) {
      return refused.text;
    }
    return std::string();
  });
  int peer = server.accept();
  server.read_frame(peer);
  server.write_frame(peer, golden_text("refused"));
  CHECK(opened.get() == golden_file("refused")["text"].string());
  server.close(peer);
}

TEST_CASE("a frame that is no message, or too long, ends the connection") {
  for (const std::string &bytes : {std::string("\0\0\0\3abc", 7), std::string("\xff\xff\xff\xff", 4)}) {
    Connected c;
    c.server.write(c.peer, bytes);
    CHECK_THROWS_AS(c.connection->receive(in_seconds(5)), Lost);
  }
}
