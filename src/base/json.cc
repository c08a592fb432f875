#include "base/json.h"

#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>
#include <vector>

namespace larder::base {

namespace {

// Builds the value like the library's own DOM builder, but refuses duplicate names and deep
// nesting.
class StrictBuilder final : public nlohmann::json_sax<Json> {
 public:
  explicit StrictBuilder(std::size_t depth_limit) : depth_limit_(depth_limit) {}

  bool null() override { return put(Json(nullptr)); }
  bool boolean(bool value) override { return put(Json(value)); }
  bool number_integer(number_integer_t value) override { return put(Json(value)); }
  bool number_unsigned(number_unsigned_t value) override { return put(Json(value)); }
  bool number_float(number_float_t value, const string_t& /*text*/) override {
    return put(Json(value));
  }
  bool string(string_t& value) override { return put(Json(std::move(value))); }
  bool binary(binary_t& /*value*/) override { return refuse("binary value"); }
  bool start_object(std::size_t /*size*/) override { return open(Json::object()); }
  bool start_array(std::size_t /*size*/) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    if (open_.back()->contains(name)) return refuse("duplicate member name");
    names_.back() = name;
    return true;
  }
  bool parse_error(std::size_t position, const std::string& /*token*/,
                   const nlohmann::detail::exception& /*error*/) override {
    return refuse("syntax error at byte " + std::to_string(position));
  }

  Json root;
  std::string problem;

 private:
  bool refuse(std::string why) {
    problem = std::move(why);
    return false;
  }
  Json* place(Json value) {
    if (open_.empty()) {
      root = std::move(value);
      return &root;
    }
    Json& parent = *open_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(value));
      return &parent.back();
    }
    Json& member = parent[names_.back()];
    member = std::move(value);
    return &member;
  }
  bool put(Json value) {
    place(std::move(value));
    return true;
  }
  bool open(Json empty) {
    if (open_.size() >= depth_limit_) return refuse("nested too deeply");
    open_.push_back(place(std::move(empty)));
    names_.emplace_back();
    return true;
  }
  bool close() {
    open_.pop_back();
    names_.pop_back();
    return true;
  }

  std::size_t depth_limit_;
  std::vector<Json*> open_;
  std::vector<std::string> names_;
};

}  // namespace

Result<Json> parse_json(std::string_view text, std::size_t depth_limit) {
  StrictBuilder builder(depth_limit);
  try {
    if (!Json::sax_parse(text, &builder)) {
      return fail(ErrorCode::InvalidArgument, "not acceptable JSON: " + builder.problem);
    }
  } catch (const std::exception& error) {
    return fail(ErrorCode::InvalidArgument, std::string("not acceptable JSON: ") + error.what());
  }
  return std::move(builder.root);
}

Result<std::string> json_string(const Json& object, const char* name) {
  if (!object.is_object() || !object.contains(name) || !object[name].is_string()) {
    return fail(ErrorCode::InvalidArgument, std::string("\"") + name + "\" must be a string");
  }
  return object[name].get<std::string>();
}

Result<std::string> json_string_or(const Json& object, const char* name,
                                   std::string_view fallback) {
  if (object.is_object() && !object.contains(name)) return std::string(fallback);
  return json_string(object, name);
}

Result<std::int64_t> json_integer(const Json& object, const char* name) {
  if (!object.is_object() || !object.contains(name) || !object[name].is_number_integer()) {
    return fail(ErrorCode::InvalidArgument, std::string("\"") + name + "\" must be a whole number");
  }
  if (object[name].is_number_unsigned() && object[name].get<std::uint64_t>() > INT64_MAX) {
    return fail(ErrorCode::InvalidArgument, std::string("\"") + name + "\" is too large");
  }
  return object[name].get<std::int64_t>();
}

Result<Json> parse_json_of_format(std::string_view text, std::int64_t format) {
  auto json = parse_json(text);
  if (!json) return json;
  const auto found = json_integer(*json, "format");
  if (!found) return std::unexpected(found.error());
  if (*found != format) {
    return fail(ErrorCode::FailedPrecondition, "the file has a format this program cannot read");
  }
  return json;
}

Result<WallTime> json_time(const Json& object, const char* name) {
  const auto text = json_string(object, name);
  if (!text) return std::unexpected(text.error());
  return parse_rfc3339(*text);
}

Result<bool> json_flag(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end()) return false;
  if (!found->is_boolean()) {
    return fail(ErrorCode::InvalidArgument,
                "\"" + std::string(name) + "\" is neither true nor false");
  }
  return found->get<bool>();
}

}  // namespace larder::base
