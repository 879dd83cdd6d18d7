#include "linking.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

#include "relay.hpp"
#include "sha256.hpp"

namespace openmpq {

namespace {

std::atomic<const std::vector<QPU> *> known{nullptr};

/// Lists are never freed: names that were handed out live as long as the process. A new one is rare.
void remember(const std::vector<QPU> &qpus) {
  const std::vector<QPU> *before = known.load();
  auto same = [](const QPU &a, const QPU &b) { return a.device_id == b.device_id && a.n_qubits == b.n_qubits; };
  if (!before || !std::equal(before->begin(), before->end(), qpus.begin(), qpus.end(), same))
    known.store(new std::vector<QPU>(qpus));
}

/// A host that did not answer in time is left alone for a while, so that each circuit does not wait for it again.
class Backoff {
public:
  void check() {
    std::lock_guard lock(mutex_);
    if (Clock::now() < until_)
      throw Unreachable{text_};
  }
  void failed(Clock::time_point started, const std::string &text) {
    std::lock_guard lock(mutex_);
    if (Clock::now() - started > std::chrono::milliseconds(500))
      until_ = Clock::now() + std::chrono::seconds(5);
    text_ = text;
  }

private:
  std::mutex mutex_;
  Clock::time_point until_{};
  std::string text_;
};

Backoff &backoff() {
  static auto *once = new Backoff;
  return *once;
}

openmpq_status status_of(const std::string &kind) {
  static constexpr std::pair<std::string_view, openmpq_status> table[] = {
      {"invalid_task", OPENMPQ_INVALID},        {"limit", OPENMPQ_INVALID},
      {"unknown_device", OPENMPQ_NO_DEVICE},    {"cancelled", OPENMPQ_CANCELLED},
      {"scripts_not_allowed", OPENMPQ_REFUSED}, {"disconnected", OPENMPQ_DISCONNECTED}};
  for (auto [name, status] : table)
    if (name == kind)
      return status;
  return OPENMPQ_DEVICE_ERROR;
}

void read_counts(Result &result, const Json &answer) {
  for (const Json &row : answer["counts"].list()) {
    Counts &counts = result.counts.emplace_back();
    counts.reserve(row.object().size());
    for (const auto &[bits, n] : row.object())
      counts.emplace_back(bits, std::uint64_t(n.integer()));
  }
  result.device = answer["device_id"].string();
  result.shots = answer["shots"].integer();
  result.queue_s = answer["queue_s"].number();
  result.run_s = answer["run_s"].number();
}

/// Through this node's relay, which is started if need be; nullptr if there is none.
std::unique_ptr<Connection> through_relay(const std::string &client) {
  static const std::optional<std::string> address = relay_address(settings());
  if (!address)
    return nullptr;
  Settings through = settings();
  through.pool = *address;
  for (int attempt = 0; attempt < 3; ++attempt) { // one may end just when we connect to it
    try {
      return std::make_unique<Connection>(through, client);
    } catch (const Unreachable &) {
    } catch (const Lost &) {
    }
    if (!start_relay(settings(), *address))
      break;
  }
  return nullptr;
}

void warn_without_relay() {
  static std::atomic<bool> once{false};
  if (!settings().relay.empty() && settings().pool.rfind("tcp:", 0) == 0 && !once.exchange(true))
    warn("no relay on this node, so each thread connects to the pool by itself. To see why: $OPENMPQ_RELAY /tmp/relay");
}

std::unique_ptr<Connection> open_connection(const std::string &client) {
  if (auto connection = through_relay(client))
    return connection;
  auto connection = std::make_unique<Connection>(settings(), client);
  warn_without_relay();
  return connection;
}

/// Returns what is wrong, or "".
std::string write_back(const Json &returned, const Job &job) {
  for (const Job::Array &array : job.arrays) {
    const Json::List &values = returned[array.name].list();
    bool absent = returned[array.name].list().empty() && array.n;
    if (!(array.direction & OPENMPQ_FROM) || (absent && array.direction == OPENMPQ_TOFROM))
      continue; // a script may leave what it was given as it is
    if (values.size() != array.n)
      return "the script '" + job.script + "' returned " + std::to_string(values.size()) + " values for '" +
             array.name + "', which has " + std::to_string(array.n) + ". Return a list of that length from main().";
    std::transform(values.begin(), values.end(), array.data, [](const Json &value) { return value.number(); });
  }
  return "";
}

} // namespace

std::unique_ptr<Connection> connect(const std::string &client) {
  if (settings().pool.empty())
    throw Unreachable{"OPENMPQ_POOL is not set, so there is no pool of QPUs. Start the program with openmpq-run, or "
                      "set OPENMPQ_POOL to the address of a bridge (openmpq_runtime.serve)."};
  backoff().check();
  auto started = Clock::now();
  try {
    auto connection = open_connection(client);
    remember(connection->qpus());
    return connection;
  } catch (const Unreachable &error) {
    backoff().failed(started, error.text);
    throw;
  } catch (const Lost &error) {
    throw Unreachable{"the pool at " + settings().pool + " closed the connection at once. Is it ending?"};
  } catch (const TimedOut &) {
    std::string text = "the pool at " + settings().pool +
                       " does not answer. Raise OPENMPQ_CONNECT_TIMEOUT, or look "
                       "whether the bridge still runs.";
    backoff().failed(started, text);
    throw Unreachable{text};
  }
}

std::unique_ptr<Connection> connect_again(const std::string &client) {
  for (int attempt = 0; attempt < 4; ++attempt) {
    try {
      return connect(client);
    } catch (const Unreachable &) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20 << attempt));
    } catch (const Refused &) {
      break;
    }
  }
  return nullptr;
}

std::string new_client() {
  return hex(random_bytes(16));
}

SharedResult read_answer(const Json &message, const Job &job) {
  const std::string &is = message["is"].string();
  if (is == "failed")
    return failure(status_of(message["kind"].string()), message["text"].string());
  auto result = std::make_shared<Result>();
  result->status = OPENMPQ_OK;
  result->n_bits = job.n_bits;
  if (is == "arrays") {
    if (std::string wrong = write_back(message["arrays"], job); !wrong.empty())
      return failure(OPENMPQ_INVALID, wrong);
    result->device = message["device_id"].string();
    result->run_s = message["run_s"].number();
    result->shots = job.shots;
    return result;
  }
  read_counts(*result, message["result"]);
  if (is != "result" || result->counts.size() != job.n_rows)
    return failure(OPENMPQ_INTERNAL, "the pool sent an answer that does not fit the question ('" + is + "').");
  return result;
}

SharedResult lost_in_the_middle(const std::string &why) {
  return failure(OPENMPQ_DISCONNECTED, why + " The circuit ran once or not at all. Execute it again if that is right; "
                                             "the next execute() connects again by itself.");
}

SharedResult timed_out() {
  return failure(OPENMPQ_TIMEOUT, "no answer within OPENMPQ_TIMEOUT. The circuit was taken back if it still waited.");
}

const std::vector<QPU> *known_qpus() noexcept {
  return known.load();
}

} // namespace openmpq
