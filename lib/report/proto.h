/*
 * Messages in protobuf's wire format, into memory: varints and length-delimited fields are all that profile.proto needs. A field whose value is 0 or empty is
 * left out, as proto3 does. Failure sticks: look at `failed` once, at the end.
 */
#ifndef HEAPTAP_PROTO_H
#define HEAPTAP_PROTO_H

#include <common/base.h>

struct proto {
    uint8_t *at;
    size_t length, capacity;
    bool failed; /* no memory */
};

void proto_free(struct proto *proto);
INLINE void proto_clear(struct proto *proto)
{
    proto->length = 0;
}

void proto_varint(struct proto *proto, uint64_t value);
void proto_bytes(struct proto *proto, const void *bytes, size_t count);
/* Fields. Signed values are given as their two's complement. */
void proto_number(struct proto *proto, unsigned field, uint64_t value);
/* Written even when empty, as an element of a repeated field is. */
void proto_data(struct proto *proto, unsigned field, const void *bytes, size_t count);
void proto_message(struct proto *proto, unsigned field, const struct proto *message);
/* A packed repeated field. */
void proto_packed(struct proto *proto, unsigned field, const uint64_t *values, size_t count);

#endif
