#include "proto.h"

#include <stdlib.h>
#include <string.h>

enum wire { WIRE_VARINT = 0, WIRE_BYTES = 2 };

void proto_free(struct proto *proto)
{
    free(proto->at);
    memset(proto, 0, sizeof *proto);
}

void proto_bytes(struct proto *proto, const void *bytes, size_t count)
{
    if (proto->capacity - proto->length < count) {
        size_t capacity = proto->capacity * 2 + count + 64;
        uint8_t *larger = proto->failed ? NULL : realloc(proto->at, capacity);
        if (!larger) {
            proto->failed = true;
            return;
        }
        proto->at = larger;
        proto->capacity = capacity;
    }
    if (count)
        memcpy(proto->at + proto->length, bytes, count);
    proto->length += count;
}

/* At most ten bytes. */
static size_t encode(uint8_t *to, uint64_t value)
{
    size_t length = 0;
    for (; value >= 0x80; value >>= 7)
        to[length++] = (uint8_t)(value | 0x80);
    to[length++] = (uint8_t)value;
    return length;
}

void proto_varint(struct proto *proto, uint64_t value)
{
    uint8_t bytes[10];
    proto_bytes(proto, bytes, encode(bytes, value));
}

void proto_number(struct proto *proto, unsigned field, uint64_t value)
{
    if (!value)
        return;
    proto_varint(proto, field << 3 | WIRE_VARINT);
    proto_varint(proto, value);
}

void proto_data(struct proto *proto, unsigned field, const void *bytes, size_t count)
{
    proto_varint(proto, field << 3 | WIRE_BYTES);
    proto_varint(proto, count);
    proto_bytes(proto, bytes, count);
}

void proto_message(struct proto *proto, unsigned field, const struct proto *message)
{
    proto->failed |= message->failed;
    proto_data(proto, field, message->at, message->length);
}

void proto_packed(struct proto *proto, unsigned field, const uint64_t *values, size_t count)
{
    uint8_t scratch[10];
    size_t bytes = 0;
    if (!count)
        return;
    for (size_t i = 0; i < count; i++)
        bytes += encode(scratch, values[i]);
    proto_varint(proto, field << 3 | WIRE_BYTES);
    proto_varint(proto, bytes);
    for (size_t i = 0; i < count; i++)
        proto_varint(proto, values[i]);
}
