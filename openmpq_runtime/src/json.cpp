#include "json.hpp"

#include <charconv>

namespace openmpq {

namespace {

class Reader {
public:
  explicit Reader(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}

  Json document() {
    Json value = read(0);
    if (peek() != '\0' || at_ != end_)
      fail("more than one value");
    return value;
  }

private:
  [[noreturn]] static void fail(const char *what) { throw BadJson{std::string("not JSON: ") + what}; }

  char peek() { // the next character that is no space; 0 at the end
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t'))
      ++at_;
    return at_ == end_ ? '\0' : *at_;
  }

  bool take(char wanted) {
    bool there = peek() == wanted && at_ != end_;
    at_ += there;
    return there;
  }

  Json read(int depth) {
    if (depth > 32)
      fail("nested too deeply");
    switch (peek()) {
    case '{':
      return object(depth);
    case '[':
      return list(depth);
    case '"':
      return Json(string());
    case 't':
      return literal("true", Json(true));
    case 'f':
      return literal("false", Json(false));
    case 'n':
      return literal("null", Json());
    default:
      return number();
    }
  }

  Json object(int depth) {
    Json::Object members;
    take('{');
    if (take('}'))
      return Json(std::move(members));
    do {
      if (peek() != '"')
        fail("a key is missing");
      std::string key = string();
      if (!take(':'))
        fail("a colon is missing");
      members.emplace_back(std::move(key), read(depth + 1));
    } while (take(','));
    if (!take('}'))
      fail("an object does not end");
    return Json(std::move(members));
  }

  Json list(int depth) {
    Json::List items;
    take('[');
    if (take(']'))
      return Json(std::move(items));
    do
      items.push_back(read(depth + 1));
    while (take(','));
    if (!take(']'))
      fail("a list does not end");
    return Json(std::move(items));
  }

  Json literal(std::string_view word, Json value) {
    if (std::string_view(at_, std::size_t(end_ - at_)).substr(0, word.size()) != word)
      fail("an unknown word");
    at_ += word.size();
    return value;
  }

  Json number() {
    double value = 0.0;
    auto [rest, error] = std::from_chars(at_, end_, value);
    // from_chars also reads inf and nan, which JSON does not have.
    bool digit = at_ != end_ && (*at_ == '-' || (*at_ >= '0' && *at_ <= '9'));
    if (error != std::errc() || !digit || !(value - value == 0.0))
      fail("a value is missing");
    at_ = rest;
    return Json(value);
  }

  std::string string() {
    std::string text;
    ++at_; // the quote
    while (true) {
      if (at_ == end_)
        fail("a string does not end");
      char c = *at_++;
      if (c == '"')
        return text;
      if (static_cast<unsigned char>(c) < 0x20)
        fail("a control character in a string");
      if (c == '\\')
        escape(text);
      else
        text += c;
    }
  }

  void escape(std::string &text) {
    static constexpr std::string_view letters = "\"\\/bfnrt", meant = "\"\\/\b\f\n\r\t";
    char c = at_ == end_ ? '\0' : *at_++;
    if (auto place = letters.find(c); c && place != letters.npos)
      text += meant[place];
    else if (c == 'u')
      append_utf8(text, code_point());
    else
      fail("an unknown escape");
  }

  std::uint32_t code_point() {
    std::uint32_t high = four_digits();
    if (high < 0xd800 || high > 0xdfff)
      return high;
    if (high > 0xdbff || end_ - at_ < 2 || at_[0] != '\\' || at_[1] != 'u')
      fail("half a character");
    at_ += 2;
    std::uint32_t low = four_digits();
    if (low < 0xdc00 || low > 0xdfff)
      fail("half a character");
    return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
  }

  std::uint32_t four_digits() {
    std::uint32_t value = 0;
    if (end_ - at_ < 4)
      fail("a short \\u escape");
    if (std::from_chars(at_, at_ + 4, value, 16).ptr != at_ + 4)
      fail("a bad \\u escape");
    at_ += 4;
    return value;
  }

  static void append_utf8(std::string &text, std::uint32_t code) {
    auto tail = [&](int shift) { text += static_cast<char>(0x80 | ((code >> shift) & 0x3f)); };
    if (code < 0x80) {
      text += static_cast<char>(code);
    } else if (code < 0x800) {
      text += static_cast<char>(0xc0 | (code >> 6));
      tail(0);
    } else if (code < 0x10000) {
      text += static_cast<char>(0xe0 | (code >> 12));
      tail(6), tail(0);
    } else {
      text += static_cast<char>(0xf0 | (code >> 18));
      tail(12), tail(6), tail(0);
    }
  }

  const char *at_, *end_;
};

template <class T> const T &empty() noexcept {
  static const T nothing{};
  return nothing;
}

} // namespace

Json Json::parse(std::string_view text) {
  return Reader(text).document();
}

double Json::number(double otherwise) const noexcept {
  auto *value = std::get_if<double>(&value_);
  return value ? *value : otherwise;
}

std::int64_t Json::integer(std::int64_t otherwise) const noexcept {
  double value = number(0.5);
  bool whole = value >= -9e15 && value <= 9e15 && value == double(std::int64_t(value));
  return whole ? std::int64_t(value) : otherwise;
}

bool Json::boolean() const noexcept {
  auto *value = std::get_if<bool>(&value_);
  return value && *value;
}

const std::string &Json::string() const noexcept {
  auto *value = std::get_if<std::string>(&value_);
  return value ? *value : empty<std::string>();
}

const Json::List &Json::list() const noexcept {
  auto *value = std::get_if<List>(&value_);
  return value ? *value : empty<List>();
}

const Json::Object &Json::object() const noexcept {
  auto *value = std::get_if<Object>(&value_);
  return value ? *value : empty<Object>();
}

const Json &Json::operator[](std::string_view key) const noexcept {
  for (const auto &[name, value] : object())
    if (name == key)
      return value;
  return empty<Json>();
}

void append_json(std::string &out, std::string_view text) {
  static constexpr char digits[] = "0123456789abcdef";
  out += '"';
  for (char c : text) {
    if (c == '"' || c == '\\')
      out += '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      out += "\\u00";
      out += digits[c >> 4];
      out += digits[c & 15];
    } else {
      out += c;
    }
  }
  out += '"';
}

void append_json(std::string &out, double number) {
  char digits[32];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

void append_json(std::string &out, std::int64_t number) {
  char digits[24];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

void append_json(std::string &out, const double *numbers, std::size_t n) {
  out += '[';
  for (std::size_t i = 0; i < n; ++i) {
    if (i)
      out += ',';
    append_json(out, numbers[i]);
  }
  out += ']';
}

} // namespace openmpq
