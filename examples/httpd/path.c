/* SPDX-License-Identifier: MIT */
/* path.c: names: of files below DIR, in URLs, in HTML; and what type a file is of. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "httpd.h"

static int hex(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* 0; 400: not an encoding, or a zero byte. */
static int decode(const char *from, size_t n, char *to, size_t size) {
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        char c = from[i];
        if (c == '%') {
            if (i + 2 >= n || hex(from[i + 1]) < 0 || hex(from[i + 2]) < 0) return 400;
            c = (char)(hex(from[i + 1]) * 16 + hex(from[i + 2]));
            i += 2;
        }
        if (c == 0) return 400;
        if (len + 1 >= size) return 414;
        to[len++] = c;
    }
    to[len] = 0;
    return 0;
}

/* No part of the path may be "..": we refuse rather than resolve. The kernel refuses again (answer.c). */
static bool climbs(const char *path) {
    for (const char *p = path; *p; p += strcspn(p, "/"), p += *p == '/')
        if (p[0] == '.' && p[1] == '.' && (p[2] == '/' || p[2] == 0)) return true;
    return false;
}

int path_of_target(const struct request *r, char *path, size_t size) {
    struct http_parser_url url;
    char decoded[TARGET_MAX + 1];
    http_parser_url_init(&url);
    if (http_parser_parse_url(r->target, r->target_len, false, &url) != 0) return 400;
    if (!(url.field_set & 1u << UF_PATH)) return url.field_set & 1u << UF_HOST ? 404 : 400;
    const char *at = r->target + url.field_data[UF_PATH].off;
    int status = decode(at, url.field_data[UF_PATH].len, decoded, sizeof decoded);
    if (status) return status;
    if (climbs(decoded)) return 403;
    const char *relative = decoded + strspn(decoded, "/");
    if (!*relative) relative = ".";
    if (strlen(relative) >= size) return 414;
    memcpy(path, relative, strlen(relative) + 1);
    return 0;
}

static const char *const types[][2] = {
    {"html", "text/html; charset=utf-8"},
    {"htm", "text/html; charset=utf-8"},
    {"css", "text/css; charset=utf-8"},
    {"js", "text/javascript; charset=utf-8"},
    {"mjs", "text/javascript; charset=utf-8"},
    {"json", "application/json"},
    {"txt", "text/plain; charset=utf-8"},
    {"md", "text/markdown; charset=utf-8"},
    {"xml", "application/xml"},
    {"csv", "text/csv; charset=utf-8"},
    {"svg", "image/svg+xml"},
    {"png", "image/png"},
    {"jpg", "image/jpeg"},
    {"jpeg", "image/jpeg"},
    {"gif", "image/gif"},
    {"webp", "image/webp"},
    {"avif", "image/avif"},
    {"ico", "image/x-icon"},
    {"wasm", "application/wasm"},
    {"pdf", "application/pdf"},
    {"zip", "application/zip"},
    {"gz", "application/gzip"},
    {"mp3", "audio/mpeg"},
    {"ogg", "audio/ogg"},
    {"mp4", "video/mp4"},
    {"webm", "video/webm"},
    {"woff", "font/woff"},
    {"woff2", "font/woff2"},
};

const char *type_of(const char *path) {
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');
    for (size_t i = 0; dot && i < sizeof types / sizeof *types; i++)
        if (strcasecmp(dot + 1, types[i][0]) == 0) return types[i][1];
    return "application/octet-stream";
}

void url_encode(const char *from, char *to, size_t size) {
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";
    size_t n = 0;
    for (; *from && n + 4 <= size; from++) {
        if (strchr(plain, *from))
            to[n++] = *from;
        else
            n += (size_t)snprintf(to + n, size - n, "%%%02X", (unsigned char)*from);
    }
    to[n] = 0;
}

void html_encode(const char *from, char *to, size_t size) {
    size_t n = 0;
    for (; *from && n + 7 <= size; from++) {
        switch (*from) {
        case '<': n += (size_t)snprintf(to + n, size - n, "&lt;"); break;
        case '>': n += (size_t)snprintf(to + n, size - n, "&gt;"); break;
        case '&': n += (size_t)snprintf(to + n, size - n, "&amp;"); break;
        case '"': n += (size_t)snprintf(to + n, size - n, "&quot;"); break;
        default: to[n++] = *from;
        }
    }
    to[n] = 0;
}
