/* SPDX-License-Identifier: MIT */
/*
 * request.c: http_parser's callbacks. They collect the target and the few headers that we look at, in
 * buffers of fixed size: what a client may make us keep is bounded, whatever it sends.
 */
#include <string.h>
#include <strings.h>

#include "httpd.h"

static const char *const names[HEADERS] = {
    [H_HOST] = "host",
    [H_RANGE] = "range",
    [H_IF_RANGE] = "if-range",
    [H_IF_NONE_MATCH] = "if-none-match",
    [H_IF_MODIFIED_SINCE] = "if-modified-since",
};

static int fail(struct request *r, int status) {
    r->error = status;
    return 1; /* stops the parser */
}

static int on_url(http_parser *p, const char *at, size_t n) {
    struct request *r = p->data;
    if (n > TARGET_MAX - r->target_len) return fail(r, 414);
    memcpy(r->target + r->target_len, at, n);
    r->target_len += n;
    return 0;
}

static enum header known(const char *name) {
    for (int i = H_HOST; i < HEADERS; i++)
        if (strcasecmp(name, names[i]) == 0) return (enum header)i;
    return H_NONE;
}

/* A value is complete when the next name begins or the headers end. */
static void end_value(struct request *r) {
    if (!r->in_value) return;
    if (r->header != H_NONE) r->value[r->header][r->value_len <= VALUE_MAX ? r->value_len : 0] = 0;
    r->in_value = false;
    r->name_len = 0;
}

static int on_header_field(http_parser *p, const char *at, size_t n) {
    struct request *r = p->data;
    end_value(r);
    for (size_t i = 0; i < n && r->name_len < sizeof r->name; i++) r->name[r->name_len++] = at[i];
    return 0;
}

static void begin_value(struct request *r) {
    bool cut = r->name_len == sizeof r->name;
    r->in_value = true;
    r->value_len = 0;
    if (!cut) r->name[r->name_len] = 0;
    r->header = cut ? H_NONE : known(r->name);
    if (r->header == H_HOST && r->value[H_HOST][0]) r->hosts_too_many = true;
}

static int on_header_value(http_parser *p, const char *at, size_t n) {
    struct request *r = p->data;
    if (!r->in_value) begin_value(r);
    if (r->header == H_NONE) return 0;
    if (n <= VALUE_MAX && r->value_len <= VALUE_MAX - n)
        memcpy(r->value[r->header] + r->value_len, at, n);
    else
        n = VALUE_MAX + 1; /* too long: absent */
    if (r->value_len <= VALUE_MAX) r->value_len += n;
    return 0;
}

/* 0: a body follows, if there is one; the parser goes on. */
static int on_headers_complete(http_parser *p) {
    struct request *r = p->data;
    end_value(r);
    bool sized = p->flags & F_CONTENTLENGTH && p->content_length > 0;
    r->body = sized || p->flags & F_CHUNKED || p->upgrade;
    r->done = true;
    http_parser_pause(p, 1);
    return 0;
}

static const http_parser_settings settings = {
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
};

void request_begin(struct request *r) {
    memset(r, 0, sizeof *r);
    http_parser_init(&r->parser, HTTP_REQUEST);
    r->parser.data = r;
}

/*
 * Paused in on_headers_complete, the parser has not counted the line feed that ended the headers. We take it with them: the
 * next request begins with a parser of its own. A body is not read at all: its connection is closed.
 */
size_t request_take(struct request *r, const char *bytes, size_t n) {
    size_t used = http_parser_execute(&r->parser, &settings, bytes, n);
    enum http_errno e = HTTP_PARSER_ERRNO(&r->parser);
    if (r->done && e == HPE_PAUSED) {
        if (used < n && bytes[used] == '\n') used++;
        r->target[r->target_len] = 0;
        return used;
    }
    if (!r->error && e == HPE_HEADER_OVERFLOW) r->error = 431;
    if (!r->error && e != HPE_OK) r->error = 400;
    return used;
}
