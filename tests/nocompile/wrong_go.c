/* SPDX-License-Identifier: MIT */
/* rn_go with what a plain call would not take. */
#include <runnel.h>

struct big {
    long a, b;
};
struct small {
    int a;
};
static void none(void) {}
static void one(int a) { (void)a; }
static void text(const char *s) { (void)s; }
static void small(struct small s) { (void)s; }
static void big(struct big b) { (void)b; }
static void seven(int a, int b, int c, int d, int e, int f, int g) {
    one(a + b + c + d + e + f + g);
}
static struct big result(void) { return (struct big){1, 2}; }
static long double wide(long double d) { return d; }
static void eats(_Complex long double d) { (void)d; }
int goes(struct big b, struct small s, int *p);

int goes(struct big b, struct small s, int *p) {
    (void)rn_go(none, 1);                       // expect: too many arguments
    (void)rn_go(one);                           // expect: too few arguments
    (void)rn_go(one, 1, 2);                     // expect: too many arguments
    (void)rn_go(one, p);                        // expect: pointer to integer|integer from pointer
    (void)rn_go(one, "text");                   // expect: pointer to integer|integer from pointer
    (void)rn_go(text, 1);                       // expect: integer to pointer|pointer from integer
    (void)rn_go(text, p);                       // expect: incompatible pointer type
    (void)rn_go(one, s);                        // expect: incompatible type
    (void)rn_go(big, b);                        // expect: no scalar|argument
    (void)rn_go(small, s);                      // expect: no scalar|argument
    (void)rn_go(wide, 1.0L);                    // expect: over 8 bytes
    (void)rn_go(eats, (_Complex long double)1); // expect: at most 16 bytes
    (void)rn_go(result);                        // expect: over 8 bytes
    (void)rn_go(seven, 1, 2, 3, 4, 5, 6, 7);    // expect: more than 6 arguments
    (void)rn_go(3, 1);                          // expect: .
    (void)rn_go_opt(NULL, one, p);              // expect: pointer to integer|integer from pointer
    (void)rn_go_opt(p, none);                   // expect: incompatible pointer type
    seven(1, 2, 3, 4, 5, 6, 7);
    none();
    eats(1);
    text("");
    small(s);
    big(result());
    return p && wide(b.a) > 0;
}
