/* SPDX-License-Identifier: MIT */
/*
 * httpd.h: how the parts of httpd are joined.
 *
 *   main.c      options, signals; ../common/server.c accepts and drains
 *   client.c    a goroutine for each connection: reads a request, has it answered, and again
 *   request.c   from bytes to a request, by http_parser
 *   path.c      from a target to a path below DIR, percent-decoding, types of files
 *   answer.c    from a request to an answer: files, ranges, directories, errors
 *
 * A connection and all that belongs to it is its goroutine's. Shared are the list of connections (under httpd.lock) and
 * each one's `idle` word.
 */
#ifndef HTTPD_H
#define HTTPD_H

#include <http_parser.h>
#include <runnel.h>
#include <sys/stat.h>

#include "server.h"

enum {
    HEAD_MAX = 16 * 1024, /* bytes of a request before its body */
    TARGET_MAX = 4096,
    VALUE_MAX = 256, /* of the headers we look at; longer ones count as absent */
    INPUT = 4096,
    HEADER_MAX = 1024,     /* of an answer */
    SMALL_FILE = 16 * 1024 /* sent in one write with the header */
};

/* The headers we look at. */
enum header { H_NONE, H_HOST, H_RANGE, H_IF_RANGE, H_IF_NONE_MATCH, H_IF_MODIFIED_SINCE, HEADERS };

struct request {
    http_parser parser;
    char target[TARGET_MAX + 1];
    size_t target_len;
    char value[HEADERS][VALUE_MAX + 1]; /* "": absent */
    char name[32];                      /* of the header being read, cut */
    size_t name_len, value_len;
    enum header header;
    bool in_value, hosts_too_many;
    bool body; /* there is one, which we do not want */
    bool done;
    int error; /* a status, 0: none */
};

struct client {
    struct client *next, *prev;
    rn_conn conn;
    bool idle; /* atomic: between two requests */
    char input[INPUT];
    size_t at, end; /* what of input is not used yet */
    struct request request;
};

extern struct httpd {
    int dir;
    rn_duration idle_timeout, head_timeout, write_timeout, drain;
    bool draining; /* atomic */
    rn_mutex lock;
    struct client *clients;
} httpd;

void request_begin(struct request *r);
/* Take n bytes; returns how many were used. When r->done or r->error is set the rest is not the request's. */
size_t request_take(struct request *r, const char *bytes, size_t n);

/* The path of the target below DIR, decoded, without a leading slash ("." for DIR itself). 0, or a status. */
int path_of_target(const struct request *r, char *path, size_t size);
const char *type_of(const char *path);
/* Encode for a URL, or for HTML; cut to fit. */
void url_encode(const char *from, char *to, size_t size);
void html_encode(const char *from, char *to, size_t size);

/* Answer the request. False: the connection is to be closed. */
bool answer(struct client *c);
bool answer_status(struct client *c, int status, bool keep);

void client_start(rn_conn conn);
void clients_end(bool idle_only);

#endif
