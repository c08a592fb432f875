vcl 4.1;

backend default { .host = "@origin_host@"; .port = "@origin_port@"; }

sub vcl_backend_response {
  set beresp.ttl = 10d;
  set beresp.do_gzip = false;
}
