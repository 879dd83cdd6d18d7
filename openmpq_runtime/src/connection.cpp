#include "connection.hpp"

#include <algorithm>
#include <cerrno>
#include <unistd.h>
#include <utility>

#include <openmpq/openmpq.h>

#include "sha256.hpp"

namespace openmpq {

namespace {

constexpr std::size_t max_frame = std::size_t(64) << 20;

std::string frame_of(std::string body) { // body has four bytes of room before it
  std::size_t n = body.size() - 4;
  for (int i = 0; i < 4; ++i)
    body[i] = static_cast<char>(n >> (24 - 8 * i));
  return body;
}

/// Begins a message; its first four bytes are for the length.
std::string message(std::string_view is) {
  std::string body(4, '\0');
  body += "{\"is\":";
  append_json(body, is);
  return body;
}

void field(std::string &body, std::string_view name) {
  body += ',';
  append_json(body, name);
  body += ':';
}

template <class Value> void field(std::string &body, std::string_view name, const Value &value) {
  field(body, name);
  append_json(body, value);
}

void rows(std::string &body, const Job &job) {
  field(body, "rows");
  body += '[';
  for (std::size_t row = 0; row < job.n_rows; ++row) {
    if (row)
      body += ',';
    append_json(body, job.rows.data() + row * job.n_columns, job.n_columns);
  }
  body += ']';
}

void arrays(std::string &body, const Job &job) {
  field(body, "arrays");
  char before = '{';
  for (const Job::Array &array : job.arrays) {
    body += before;
    append_json(body, std::string_view(array.name));
    body += ':';
    // What only comes back is sent as zeros, so that the script sees its length.
    if (array.direction & OPENMPQ_TO)
      append_json(body, array.data, array.n);
    else
      append_json(body, std::vector<double>(array.n).data(), array.n);
    before = ',';
  }
  body += job.arrays.empty() ? "{}" : "}";
}

} // namespace

Connection::Connection(const Settings &settings, const std::string &client)
    : stream_(settings.pool, in_seconds(settings.connect_timeout_s)) {
  Deadline deadline = in_seconds(settings.connect_timeout_s);
  if (stream_.is_tcp())
    prove_token(settings.token, deadline);
  hello(settings, client, deadline);
}

void Connection::prove_token(const std::string &token, Deadline deadline) {
  static const std::string advice = " Set OPENMPQ_TOKEN_FILE to the file that the bridge wrote (openmpq-run does).";
  if (token.empty())
    throw Refused{"a pool on tcp: asks for its token and none is set." + advice};
  std::string ours = random_bytes(32);
  stream_.send(ours);
  std::string theirs(stream_.peek(32, deadline));
  stream_.drop(32);
  Digest proof = hmac_sha256(token, "openmpq-client" + ours + theirs);
  stream_.send({reinterpret_cast<const char *>(proof.data()), proof.size()});
  Digest wanted = hmac_sha256(token, "openmpq-server" + theirs + ours), answer{};
  try {
    std::string_view got = stream_.peek(32, deadline);
    std::copy(got.begin(), got.end(), answer.begin());
  } catch (const Lost &) {
    throw Refused{"the pool has another token than ours." + advice};
  }
  stream_.drop(32);
  if (!equal(answer, wanted))
    throw Refused{"the pool has another token than ours." + advice};
}

void Connection::hello(const Settings &settings, const std::string &client, Deadline deadline) {
  std::string body = message("hello");
  field(body, "openmpq", std::int64_t(1));
  field(body, "client", std::string_view(client));
  field(body, "name", std::string_view(program_invocation_short_name));
  field(body, "pid", std::int64_t(getpid()));
  field(body, "rank", std::int64_t(std::max(settings.rank, 0)));
  send(std::move(body));
  Json answer = receive(deadline);
  if (answer["is"].string() == "refused")
    throw Refused{answer["text"].string()};
  if (answer["is"].string() != "welcome" || answer["openmpq"].integer() != 1)
    throw Refused{"what answers at OPENMPQ_POOL is not a bridge of this version of OpenMP-Q. Use the same CONQURE "
                  "release on both sides."};
  server_ = answer["server"].string();
  for (const Json &qpu : answer["qpus"].list())
    if (qpu.list().size() >= 2)
      qpus_.push_back({qpu.list()[0].string(), std::int32_t(qpu.list()[1].integer())});
}

void Connection::submit(const Job &job, std::int64_t request, std::int64_t oldest, bool waits) {
  bool script = !job.script.empty();
  std::string body = message(script ? "script" : "submit");
  field(body, "request", request);
  field(body, "oldest", oldest);
  if (script) {
    field(body, "script", std::string_view(job.script));
  } else {
    auto [slot, is_new] = slot_of(job.program);
    field(body, "slot", std::int64_t(slot));
    if (is_new)
      field(body, "program", std::string_view(job.program));
  }
  field(body, "device_id", std::string_view(job.device_id));
  field(body, "shots", job.shots);
  if (job.seed >= 0)
    field(body, "seed", job.seed);
  field(body, "priority", std::string_view(job.priority));
  script ? arrays(body, job) : rows(body, job);
  if (waits)
    body += ",\"waits\":true";
  send(std::move(body));
}

void Connection::cancel(std::int64_t request) {
  std::string body = message("cancel");
  field(body, "request", request);
  send(std::move(body));
}

void Connection::send(std::string body) {
  body += '}';
  if (body.size() - 4 > max_frame) {
    slots_.clear(); // a program that was in it has not arrived
    programs_.fill(nullptr);
    throw Mistake{"the circuit and its rows are larger than 64 MiB. Use parameters, or fewer rows at a time."};
  }
  stream_.send(frame_of(std::move(body)));
}

Json Connection::receive(Deadline deadline) {
  try {
    return Json::parse(frame(deadline));
  } catch (const BadJson &error) {
    throw Lost{"the pool sent what is not a message: " + error.text + "."};
  }
}

std::string_view Connection::frame(Deadline deadline) {
  stream_.drop(std::exchange(last_frame_, 0));
  std::string_view header = stream_.peek(4, deadline);
  std::size_t n = 0;
  for (char c : header)
    n = n << 8 | static_cast<unsigned char>(c);
  if (n > max_frame)
    throw Lost{"the pool sent a message of more than 64 MiB."};
  std::string_view body = stream_.peek(4 + n, deadline).substr(4);
  last_frame_ = 4 + n;
  return body;
}

std::pair<std::size_t, bool> Connection::slot_of(const std::string &program) {
  auto [found, is_new] = slots_.try_emplace(program, next_slot_);
  if (!is_new)
    return {found->second, false};
  if (programs_[next_slot_]) // the oldest program makes room
    slots_.erase(slots_.find(*programs_[next_slot_]));
  programs_[next_slot_] = &found->first;
  next_slot_ = (next_slot_ + 1) % programs_.size();
  return {found->second, true};
}

} // namespace openmpq
