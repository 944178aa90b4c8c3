// Stands before the kernel (LD_PRELOAD) and fails as it is told: each call that sends datagrams takes the next word of SLUICE_FAULTS.
// A number: that errno. `p3`: only the first three leave. `r`: as the kernel does. A `*` after the last: it holds from then on.
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

static const char* plan = nullptr;

static int NextFault(unsigned* most) {
  if (plan == nullptr) {
    plan = getenv("SLUICE_FAULTS");
  }
  if (plan == nullptr || *plan == 0) {
    return 0;
  }
  char* end = const_cast<char*>(plan) + 1;
  int error = 0;
  if (*plan == 'p') {
    *most = static_cast<unsigned>(strtol(plan + 1, &end, 10));
  } else if (*plan != 'r') {
    error = static_cast<int>(strtol(plan, &end, 10));
  }
  if (*end == ',') {
    plan = end + 1;
  } else if (*end != '*') {
    plan = end;
  }
  return error;
}

extern "C" int sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags) {
  static const auto real = reinterpret_cast<decltype(&sendmmsg)>(dlsym(RTLD_NEXT, "sendmmsg"));
  unsigned most = count;
  const int error = NextFault(&most);
  if (error != 0) {
    errno = error;
    return -1;
  }
  return real(fd, messages, most < count ? most : count, flags);
}

extern "C" ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  static const auto real = reinterpret_cast<decltype(&sendmsg)>(dlsym(RTLD_NEXT, "sendmsg"));
  unsigned most = 1;
  const int error = NextFault(&most);
  if (error != 0) {
    errno = error;
    return -1;
  }
  return real(fd, message, flags);
}
