// Functions for memory. Replaces the compiler's vcruntime_string.h.

#ifndef WSK_RUNTIME_VCRUNTIME_STRING_H
#define WSK_RUNTIME_VCRUNTIME_STRING_H

#include <vcruntime.h>

extern "C" {
void *memcpy(void *destination, void const *source, size_t size);
void *memmove(void *destination, void const *source, size_t size);
void *memset(void *destination, int value, size_t size);
int memcmp(void const *left, void const *right, size_t size);
void *memchr(void const *bytes, int value, size_t size);
size_t strlen(char const *text);
int strcmp(char const *left, char const *right);
size_t wcslen(wchar_t const *text);
int wcscmp(wchar_t const *left, wchar_t const *right);
int _wcsicmp(wchar_t const *left, wchar_t const *right);
}

#endif // WSK_RUNTIME_VCRUNTIME_STRING_H
