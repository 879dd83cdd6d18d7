// Which QPU a region goes to, and how its circuit is found, in every way people write it. Needs a pool of 6 QPUs.

#include <memory>
#include <mutex>
#include <set>

#include <omp.h>
#include <openmpq/openmpq.hpp>

#include "checks.hpp"

namespace {

std::string name(int k) {
  return openmpq_qpu_name(k);
}

/// One qubit that is surely 1, so that a wrong answer shows.
void one(QuantumWrapper &c) {
  c.clear().x(0).measure();
}

void expect(const std::string &what, const QuantumWrapper &c, int k) {
  check(c.ok() && c.counts() == openmpq::Counts{{"1", 1024}} && c.result().device() == name(k), what,
        c.error() + c.result().device());
}

struct Holder {
  QuantumWrapper *c = nullptr;
  QuantumWrapper inside{1};
  void member(int k) {
#pragma omp target device(Quantum + k) map(to : this[ : 1])
    {
      one(*c);
      c->execute();
    }
  }
};

template <class Circuit> void in_template(Circuit *c, int k) {
#pragma omp target device(Quantum + k) firstprivate(c)
  {
    one(*c);
    c->execute();
  }
}

void device_clauses() {
  QuantumWrapper *c = new QuantumWrapper(1);
  int k = 3;
#pragma omp target device(Quantum + k) firstprivate(c)
  {
    one(*c);
    c->execute();
  }
  expect("device(Quantum + k)", *c, 3);
#pragma omp target device(Quantum(k + 1)) firstprivate(c)
  {
    one(*c);
    c->execute();
  }
  expect("device(Quantum(k))", *c, 4);
#pragma omp target device(device_num : Quantum(5)) firstprivate(c)
  {
    one(*c);
    c->execute();
  }
  expect("device(device_num: Quantum(k))", *c, 5);
#pragma omp target device(Quantum) firstprivate(c)
  {
    one(*c);
    c->execute();
  }
  check(c->ok(), "device(Quantum) in serial code", c->error());
  check(openmpq::num_qpus() == 6 && openmpq::device_names()[5] == name(5), "num_qpus and device_names");
  delete c;
}

void ways_to_find_the_circuit() {
  QuantumWrapper *c = new QuantumWrapper(1);
#pragma omp target device(Quantum(1))
  {
    one(*c);
    c->execute();
  }
  expect("pointer without a clause", *c, 1);

  QuantumWrapper object(1);
#pragma omp target device(Quantum(2)) map(to : object)
  {
    one(object);
    object.execute();
  }
  expect("map(to: object)", object, 2);
#pragma omp target device(Quantum(3))
  {
    one(object);
    object.execute();
  }
  expect("object without a clause", object, 3);

  QuantumWrapper &reference = object;
#pragma omp target device(Quantum(4)) map(tofrom : reference)
  {
    one(reference);
    reference.execute();
  }
  expect("reference", object, 4);

  Holder holder;
  holder.c = c;
  holder.member(5);
  expect("this->c", *c, 5);
#pragma omp target device(Quantum(1)) map(to : holder)
  {
    one(*holder.c);
    holder.c->execute();
  }
  expect("pointer in a struct", *c, 1);
#pragma omp target device(Quantum(2)) map(to : holder)
  {
    one(holder.inside);
    holder.inside.execute();
  }
  expect("object in a struct", holder.inside, 2);

  auto unique = std::make_unique<QuantumWrapper>(1);
  QuantumWrapper *raw = unique.get();
#pragma omp target device(Quantum(3)) firstprivate(raw)
  {
    one(*raw);
    raw->execute();
  }
  expect("unique_ptr.get()", *unique, 3);

  QuantumWrapper *both[2] = {new QuantumWrapper(1), new QuantumWrapper(1)};
#pragma omp target device(Quantum(4)) map(to : both)
  for (QuantumWrapper *each : both) {
    one(*each);
    each->execute();
  }
  expect("array of pointers, first", *both[0], 4);
  expect("array of pointers, second", *both[1], 4);

#ifdef __clang__ // gcc 12 crashes while it compiles this
  auto lambda = [c] {
    one(*c);
    c->execute();
  };
#pragma omp target device(Quantum(5)) map(to : lambda)
  lambda();
  expect("captured by a lambda", *c, 5);
#endif

  in_template(c, 2);
  expect("in a template", *c, 2);

  bool right = false; // gcc 12 cannot map a string
#pragma omp target device(Quantum(1)) map(tofrom : right)
  {
    QuantumWrapper local(1);
    one(local);
    local.execute();
    right = local.result().device() == name(1);
  }
  check(right, "made inside the region");

  openmpq_circuit *handle = c->handle();
#pragma omp target device(Quantum(3)) firstprivate(handle)
  {
    openmpq_circuit_clear(handle);
    const std::int32_t q = 0;
    openmpq_circuit_gate(handle, "x", &q, 1, nullptr, 0);
    openmpq_circuit_measure(handle, nullptr, 0, nullptr);
    openmpq_circuit_execute(handle, nullptr, 1, 0);
  }
  expect("handle of the C interface", *c, 3);

  QuantumWrapper moved(std::move(object));
#pragma omp target device(Quantum(5)) map(to : moved)
  {
    one(moved);
    moved.execute();
  }
  expect("an object that was moved", moved, 5);

  c->device("sv0");
#pragma omp target device(Quantum(5)) firstprivate(c)
  {
    one(*c);
    c->execute();
  }
  check(c->result().device() == "sv0", "a device chosen by hand counts", c->result().device());
}

void all_of_the_class_inside() {
  QuantumWrapper *c = new QuantumWrapper(2);
  int right = 0;
#pragma omp target device(Quantum(1)) firstprivate(c) map(tofrom : right)
  {
    std::string parameter = "a" + std::to_string(1);
    c->rx(c->parameter(parameter), 0).measure({0, 1}, "bits");
    openmpq::Rows rows(2, std::vector<double>(1, 0.0));
    openmpq::Result result = c->execute(rows);
    right += result.ok() && result.num_rows() == 2;
    for (auto &[state, n] : result.counts(1))
      right += state == "00" && n == 1024;
    right += c->execute_async(rows).get().device() == name(1);
    try {
      c->clear().h(9).execute();
      c->counts_or_throw();
    } catch (const std::runtime_error &) {
      ++right;
    }
  }
  check(right == 4, "strings, rows, futures and exceptions in a region", std::to_string(right));
  delete c;
}

void one_qpu_per_thread() {
  std::set<std::string> used;
  std::mutex lock;
#pragma omp parallel num_threads(6)
  {
    QuantumWrapper *c = new QuantumWrapper(1);
#pragma omp target device(Quantum) firstprivate(c)
    {
      one(*c);
      c->execute();
    }
    std::lock_guard guard(lock);
    used.insert(c->result().device());
    delete c;
  }
  check(used.size() == 6, "each thread of a team has a QPU of its own");
}

void nested_and_classical() {
  QuantumWrapper *c = new QuantumWrapper(1);
  int sum = 0, threads = 0;
#pragma omp target device(Quantum(2)) firstprivate(c) map(tofrom : sum, threads)
  {
    one(*c);
#pragma omp parallel num_threads(3) reduction(+ : sum)
    {
      sum += 1;
#pragma omp single
      threads = omp_get_num_threads();
    }
    c->execute();
  }
  expect("parallel inside a region", *c, 2);
  check(sum == 3 && threads == 3, "its threads");

  long total = 0;
#pragma omp target teams distribute parallel for reduction(+ : total) device(Quantum(1)) map(tofrom : total)
  for (int i = 0; i < 1000; ++i)
    total += i;
  check(total == 499500, "target teams distribute parallel for reduction");

  total = 0;
#pragma omp target map(tofrom : total)
  total = 7;
  check(total == 7, "a classical target region in the same file");
  check(omp_get_num_devices() == 0, "omp_get_num_devices is untouched");

  bool inside = true;
#pragma omp target if (0) device(Quantum(1)) map(tofrom : inside)
  inside = openmpq::in_region();
  check(!inside, "if(0) is no quantum region");
#pragma omp target if (1) device(Quantum(1)) map(tofrom : inside)
  inside = openmpq::in_region();
  check(inside, "if(1) is one");
}

void where_it_is_told() {
  int qpu = -5, inside = -5;
#pragma omp target device(Quantum(4)) map(tofrom : qpu, inside)
  {
    inside = openmpq::in_region();
    qpu = openmpq_region_qpu();
  }
  check(inside == 1 && qpu == 4, "in_region and region_qpu");
}

void deferred() {
  QuantumWrapper *circuits[6];
  int order = 0, first = 0, second = 0, inside = 0;
  for (QuantumWrapper *&c : circuits)
    c = new QuantumWrapper(1);
#pragma omp parallel num_threads(6)
#pragma omp single
  {
    for (int k = 0; k < 6; ++k) {
      QuantumWrapper *c = circuits[k];
#pragma omp target nowait device(Quantum + k) firstprivate(c) map(tofrom : inside)
      {
        one(*c);
        c->execute();
#pragma omp atomic
        inside += openmpq::in_region() && openmpq_region_qpu() == k;
      }
    }
  }
  for (int k = 0; k < 6; ++k)
    expect("nowait " + std::to_string(k), *circuits[k], k);
  check(inside == 6, "nowait knows its region", std::to_string(inside));
#pragma omp parallel num_threads(3)
#pragma omp single
  {
#pragma omp target nowait device(Quantum(1)) depend(out : order) map(tofrom : order, first)
    first = ++order;
#pragma omp target nowait device(Quantum(2)) depend(inout : order) map(tofrom : order, second)
    second = ++order;
#pragma omp taskwait
  }
  check(first == 1 && second == 2, "depend keeps the order");
}

void deferred_in_serial_code() {
  int right = 0;
  for (int k = 0; k < 3; ++k) {
#pragma omp target nowait device(Quantum + k) map(tofrom : right) firstprivate(k)
    {
      QuantumWrapper local(1);
      one(local);
      local.execute();
#pragma omp atomic
      right += local.result().device() == name(k) && openmpq_region_qpu() == k;
    }
  }
#pragma omp taskwait
  check(right == 3, "nowait without a team, circuits made inside", std::to_string(right));
}

void a_circuit_per_iteration() {
  QuantumWrapper *circuits[8];
  for (QuantumWrapper *&c : circuits)
    c = new QuantumWrapper(1);
#pragma omp target teams distribute parallel for device(Quantum(2)) map(to : circuits)
  for (int i = 0; i < 8; ++i) {
    one(*circuits[i]);
    circuits[i]->execute();
  }
  int right = 0;
  for (QuantumWrapper *c : circuits) {
    right += c->ok() && c->result().device() == name(2);
    delete c;
  }
  check(right == 8, "a circuit for each iteration of a distributed loop", std::to_string(right));
}

} // namespace

int main() {
  device_clauses();
  ways_to_find_the_circuit();
  all_of_the_class_inside();
  one_qpu_per_thread();
  nested_and_classical();
  where_it_is_told();
  deferred();
  deferred_in_serial_code();
  a_circuit_per_iteration();
  where_it_is_told();
  check(!openmpq::in_region(), "after the regions");
}
