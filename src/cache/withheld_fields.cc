#include "cache/withheld_fields.h"

#include "cache/directives.h"
#include "http/forwarding.h"

namespace larder::cache {

using http::CacheControl;
using http::FieldName;

std::vector<http::ResponseField> fields_for_first(const http::ResponseHead& response) {
  const CacheControl control = read_directives(response.fields).control;
  std::vector<http::ResponseField> fields;
  for (const http::ResponseField& field : response.fields) {
    if (control.withholds(field.name) &&
        http::may_send_to_client(response, field, http::Appearance::AsOrigin)) {
      fields.push_back(
          {.name = http::canonical_name(field.name), .value = field.value, .id = field.id});
    }
  }
  return fields;
}

void leave_out_for_others(http::ResponseHead& response, const StorePolicy& policy) {
  const ResponseFields all = response.fields;  // which the directives point into
  const CacheControl control = read_directives(all).control;
  std::erase_if(response.fields, [&](const http::ResponseField& field) {
    return control.withholds(field.name) ||
           (field.id == FieldName::SetCookie && !policy.shares_cookies);
  });
}

}  // namespace larder::cache
