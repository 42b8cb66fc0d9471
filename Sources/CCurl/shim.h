// SPDX-License-Identifier: Apache-2.0
//
// libcurl as Swift sees it: the headers for their types and constants, and a static inline call for each thing that
// Swift cannot call by itself. libcurl is not linked but opened at run time, so every call takes the function that was
// found there. There is no logic here.

#ifndef PKI_CCURL_SHIM_H
#define PKI_CCURL_SHIM_H

#include <curl/curl.h>

/// A function found at run time, before it is given its own type back.
typedef void (*pki_curl_function)(void);

/// What receives a piece of the answer; returns how many bytes it took.
typedef size_t (*pki_curl_receiver)(char *bytes, size_t size, size_t count, void *context);

// Variadic.
static inline CURLcode pki_curl_easy_setopt_long(pki_curl_function function, CURL *handle, CURLoption option, long value) {
    return ((CURLcode (*)(CURL *, CURLoption, ...))function)(handle, option, value);
}

// Variadic.
static inline CURLcode pki_curl_easy_setopt_string(
    pki_curl_function function, CURL *handle, CURLoption option, const char *value
) {
    return ((CURLcode (*)(CURL *, CURLoption, ...))function)(handle, option, value);
}

// Variadic.
static inline CURLcode pki_curl_easy_setopt_pointer(
    pki_curl_function function, CURL *handle, CURLoption option, void *value
) {
    return ((CURLcode (*)(CURL *, CURLoption, ...))function)(handle, option, value);
}

// Variadic, with a structure made on the way. libcurl copies the octets.
static inline CURLcode pki_curl_easy_setopt_blob(
    pki_curl_function function, CURL *handle, CURLoption option, const void *octets, size_t count
) {
    struct curl_blob blob = {(void *)octets, count, CURL_BLOB_COPY};
    return ((CURLcode (*)(CURL *, CURLoption, ...))function)(handle, option, &blob);
}

// Variadic.
static inline CURLcode pki_curl_easy_setopt_list(
    pki_curl_function function, CURL *handle, CURLoption option, struct curl_slist *value
) {
    return ((CURLcode (*)(CURL *, CURLoption, ...))function)(handle, option, value);
}

// Variadic.
static inline CURLcode pki_curl_easy_setopt_receiver(
    pki_curl_function function, CURL *handle, CURLoption option, pki_curl_receiver value
) {
    return ((CURLcode (*)(CURL *, CURLoption, ...))function)(handle, option, value);
}

// Variadic.
static inline CURLcode pki_curl_easy_getinfo_long(pki_curl_function function, CURL *handle, CURLINFO info, long *value) {
    return ((CURLcode (*)(CURL *, CURLINFO, ...))function)(handle, info, value);
}

// Variadic.
static inline CURLcode pki_curl_easy_getinfo_offset(
    pki_curl_function function, CURL *handle, CURLINFO info, curl_off_t *value
) {
    return ((CURLcode (*)(CURL *, CURLINFO, ...))function)(handle, info, value);
}

#endif
