#include "socket-watch.h"

#include <cstdlib>
#include <cstring>

namespace sluice {

SocketWatch::Pointer SocketWatch::Open(napi_env env, int fd, Owner* owner) {
  uv_loop_s* loop = nullptr;
  if (std::strcmp(uv_handle_type_name(UV_POLL), "poll") != 0 || std::strcmp(uv_handle_type_name(UV_TIMER), "timer") != 0 ||
      napi_get_uv_event_loop(env, &loop) != napi_ok) {
    napi_throw_error(env, nullptr, "this Node's event loop is not one that we know");
    return nullptr;
  }
  Pointer watch(new SocketWatch(owner));
  if (!watch->Start(env, loop, fd)) {
    napi_throw_error(env, nullptr, "the socket cannot be waited for");
    return nullptr;
  }
  return watch;
}

bool SocketWatch::Start(napi_env env, uv_loop_s* loop, int fd) {
  poll_ = static_cast<uv_poll_s*>(std::calloc(1, uv_handle_size(UV_POLL)));
  timer_ = static_cast<uv_timer_s*>(std::calloc(1, uv_handle_size(UV_TIMER)));
  if (poll_ == nullptr || timer_ == nullptr || uv_poll_init(loop, poll_, fd) != 0) {
    return false;
  }
  uv_timer_init(loop, timer_);
  open_count_ = 2;
  uv_handle_set_data(reinterpret_cast<uv_handle_s*>(poll_), this);
  uv_handle_set_data(reinterpret_cast<uv_handle_s*>(timer_), this);
  const auto on_thread_end = [](napi_async_cleanup_hook_handle, void* data) {
    Owner* owner = static_cast<SocketWatch*>(data)->owner_;
    if (owner != nullptr) {
      owner->OnThreadEnd();
    }
  };
  return napi_add_async_cleanup_hook(env, on_thread_end, this, &cleanup_) == napi_ok && uv_poll_start(poll_, UV_READABLE, OnPoll) == 0;
}

SocketWatch::~SocketWatch() {
  if (cleanup_ != nullptr) {
    napi_remove_async_cleanup_hook(cleanup_);
  }
  std::free(poll_);
  std::free(timer_);
}

void SocketWatch::Wait() { uv_poll_start(poll_, UV_READABLE, OnPoll); }

void SocketWatch::WaitAfter(uint64_t ms) {
  uv_poll_stop(poll_);
  uv_timer_start(timer_, OnTimeout, ms, 0);
}

// Whatever libuv says of it: after an error it has stopped waiting, and reading tells the rest.
void SocketWatch::OnPoll(uv_poll_s* poll, int, int) {
  static_cast<SocketWatch*>(uv_handle_get_data(reinterpret_cast<uv_handle_s*>(poll)))->owner_->OnReadable();
}

void SocketWatch::OnTimeout(uv_timer_s* timer) {
  static_cast<SocketWatch*>(uv_handle_get_data(reinterpret_cast<uv_handle_s*>(timer)))->Wait();
}

void SocketWatch::Close() {
  owner_ = nullptr;
  if (open_count_ == 0) {
    delete this;
    return;
  }
  const auto on_closed = [](uv_handle_s* handle) {
    auto* watch = static_cast<SocketWatch*>(uv_handle_get_data(handle));
    watch->open_count_ -= 1;
    if (watch->open_count_ == 0) {
      delete watch;
    }
  };
  uv_close(reinterpret_cast<uv_handle_s*>(poll_), on_closed);
  uv_close(reinterpret_cast<uv_handle_s*>(timer_), on_closed);
}

}  // namespace sluice
