// The few functions of libuv that wait for a socket and for time. They resolve from the Node binary, which exports them; libuv's headers need not be there. Their
// signatures are part of its stable interface since 1.0, and what a handle looks like is not needed: it says its own size.
#ifndef SLUICE_LIBUV_H
#define SLUICE_LIBUV_H

#include <node_api.h>

#include <cstddef>
#include <cstdint>

extern "C" {
struct uv_handle_s;
struct uv_poll_s;
struct uv_timer_s;

size_t uv_handle_size(int type);
const char* uv_handle_type_name(int type);
void* uv_handle_get_data(const struct uv_handle_s* handle);
void uv_handle_set_data(struct uv_handle_s* handle, void* data);
void uv_close(struct uv_handle_s* handle, void (*on_closed)(struct uv_handle_s* handle));
int uv_poll_init(struct uv_loop_s* loop, struct uv_poll_s* handle, int fd);
int uv_poll_start(struct uv_poll_s* handle, int events, void (*on_events)(struct uv_poll_s* handle, int status, int events));
int uv_poll_stop(struct uv_poll_s* handle);
int uv_timer_init(struct uv_loop_s* loop, struct uv_timer_s* handle);
int uv_timer_start(struct uv_timer_s* handle, void (*on_timeout)(struct uv_timer_s* handle), uint64_t timeout_ms, uint64_t repeat_ms);
}

constexpr int UV_POLL = 8;
constexpr int UV_TIMER = 13;
constexpr int UV_READABLE = 1;

#endif
