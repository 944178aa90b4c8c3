// Waits for a socket on the event loop of the thread that JavaScript runs in, until it is closed or that thread ends.
#ifndef SLUICE_SOCKET_WATCH_H
#define SLUICE_SOCKET_WATCH_H

#include <node_api.h>

#include <cstdint>
#include <memory>

#include "libuv.h"

namespace sluice {

class SocketWatch {
 public:
  // Told until it closes the watch.
  class Owner {
   public:
    // Also when there is an error to be read; nothing is waited for then until the owner says so.
    virtual void OnReadable() = 0;
    // The watch is to be closed.
    virtual void OnThreadEnd() = 0;

   protected:
    ~Owner() = default;
  };

  struct Closer {
    void operator()(SocketWatch* watch) const { watch->Close(); }
  };
  using Pointer = std::unique_ptr<SocketWatch, Closer>;

  // Waits from now on. Null, with an exception, where that cannot be.
  static Pointer Open(napi_env env, int fd, Owner* owner);

  SocketWatch(const SocketWatch&) = delete;
  SocketWatch& operator=(const SocketWatch&) = delete;

  void Wait();
  // Not before so much time has passed.
  void WaitAfter(uint64_t ms);

 private:
  explicit SocketWatch(Owner* owner) : owner_(owner) {}
  ~SocketWatch();
  bool Start(napi_env env, uv_loop_s* loop, int fd);
  // The socket may be closed at once; the memory goes when the loop no longer knows it.
  void Close();
  static void OnPoll(uv_poll_s* poll, int status, int events);
  static void OnTimeout(uv_timer_s* timer);

  // Null once closed.
  Owner* owner_;
  uv_poll_s* poll_ = nullptr;
  uv_timer_s* timer_ = nullptr;
  // Of these two, how many the loop knows.
  int open_count_ = 0;
  napi_async_cleanup_hook_handle cleanup_ = nullptr;
};

}  // namespace sluice

#endif
