/* SPDX-License-Identifier: MIT */
/*
 * names.c: file names in text, in the way of sha256sum (coreutils 9): a line whose name has a
 * newline, a carriage return or a backslash begins with a backslash, and has them as \n, \r and \\.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <string.h>

#include "treesum.h"

bool name_needs_escape(const char *name, const char *special) {
    return strpbrk(name, special) != NULL;
}

void name_escape(FILE *out, const char *name) {
    for (; *name; name++) {
        switch (*name) {
        case '\n': fputs("\\n", out); break;
        case '\r': fputs("\\r", out); break;
        case '\\': fputs("\\\\", out); break;
        default: putc(*name, out);
        }
    }
}

/* In place. False: an escape that sha256sum does not write. */
bool name_unescape(char *name) {
    char *to = name;
    for (; *name; name++) {
        if (*name != '\\') {
            *to++ = *name;
            continue;
        }
        switch (*++name) {
        case 'n': *to++ = '\n'; break;
        case 'r': *to++ = '\r'; break;
        case '\\': *to++ = '\\'; break;
        default: return false;
        }
    }
    *to = '\0';
    return true;
}

const char *error_text(int error) {
    switch (error) {
    case ERR_NOT_REGULAR: return "Not a regular file";
    case ERR_DIGEST: return "SHA-256 failed";
    default: return strerror(-error);
    }
}

static int hex_digit(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

bool hex_decode(const char *hex, unsigned char *sum) {
    for (int i = 0; i < SUM_SIZE; i++) {
        int high = hex_digit(hex[2 * i]);
        int low = high < 0 ? -1 : hex_digit(hex[2 * i + 1]);
        if (low < 0) return false;
        sum[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

void hex_encode(FILE *out, const unsigned char *sum) {
    static const char digit[] = "0123456789abcdef";
    for (int i = 0; i < SUM_SIZE; i++) {
        putc(digit[sum[i] >> 4], out);
        putc(digit[sum[i] & 15], out);
    }
}

static char *skip_blanks(char *s) {
    while (*s == ' ' || *s == '\t') s++;
    return s;
}

/* "SHA256 (NAME) = HEX", as sha256sum --tag and the BSDs write it; s is behind "SHA256". */
static bool parse_tagged(char *s, char **name, unsigned char *sum) {
    s = skip_blanks(s);
    if (*s++ != '(') return false;
    char *end = strrchr(s, ')');
    if (!end) return false;
    *name = s;
    *end = '\0';
    s = skip_blanks(end + 1);
    if (*s++ != '=') return false;
    s = skip_blanks(s);
    return strlen(s) == HEX_SIZE && hex_decode(s, sum);
}

/* "HEX  NAME" or "HEX *NAME". */
static bool parse_plain(char *s, char **name, unsigned char *sum) {
    if (strlen(s) < HEX_SIZE + 3 || !hex_decode(s, sum)) return false;
    s += HEX_SIZE;
    if ((s[0] != ' ' && s[0] != '\t') || (s[1] != ' ' && s[1] != '*')) return false;
    *name = s + 2;
    return true;
}

/* A line of a manifest, without its end; changed in place. False: not one. */
bool line_parse(char *line, size_t length, char **name, unsigned char *sum) {
    if (strlen(line) != length) return false; /* a zero byte */
    char *s = skip_blanks(line);
    bool escaped = *s == '\\';
    s += escaped;
    bool ok =
        strncmp(s, "SHA256", 6) == 0 ? parse_tagged(s + 6, name, sum) : parse_plain(s, name, sum);
    return ok && (!escaped || name_unescape(*name));
}
