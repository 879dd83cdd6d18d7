// Just enough JSON for the wire: a value, a reader with limits, and the pieces of a writer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace openmpq {

/// One JSON value. Objects keep their order; a key that occurs twice is found at its first place.
class Json {
public:
  using List = std::vector<Json>;
  using Object = std::vector<std::pair<std::string, Json>>;

  Json() = default; // null
  explicit Json(bool value) : value_(value) {}
  explicit Json(double value) : value_(value) {}
  explicit Json(std::string value) : value_(std::move(value)) {}
  explicit Json(List value) : value_(std::move(value)) {}
  explicit Json(Object value) : value_(std::move(value)) {}

  /// Reads one value; throws BadJson for anything else, and for nesting deeper than 32.
  static Json parse(std::string_view text);

  // What is asked for, or an empty value where this is something else: the wire's readers check what they need.
  double number(double otherwise = 0.0) const noexcept;
  std::int64_t integer(std::int64_t otherwise = 0) const noexcept;
  bool boolean() const noexcept;
  const std::string &string() const noexcept;
  const List &list() const noexcept;
  const Object &object() const noexcept;
  const Json &operator[](std::string_view key) const noexcept; // of an object; null if it has no such key

private:
  std::variant<std::monostate, bool, double, std::string, List, Object> value_;
};

struct BadJson {
  std::string text;
};

/// Appends a string with its quotes, escaped.
void append_json(std::string &out, std::string_view text);
/// Appends a finite number, such that reading it gives the same double.
void append_json(std::string &out, double number);
void append_json(std::string &out, std::int64_t number);
/// Appends a list of numbers.
void append_json(std::string &out, const double *numbers, std::size_t n);

} // namespace openmpq
