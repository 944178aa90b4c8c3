// Datagrams into the kernel, many with one call: sendmmsg, and where the kernel cuts a large write into datagrams itself (UDP GSO), one entry for
// all packets of equal size to one address. What the kernel does not take now waits in order, bounded; each refusal is counted.
#ifndef SLUICE_DATAGRAMS_H
#define SLUICE_DATAGRAMS_H

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "socket-address.h"
#include "udp-socket.h"

namespace sluice {

// One entry of sendmmsg: `bytes` from `start` on, cut every `segment_bytes`.
struct Message {
  Address to;
  // Of the sender's; told when the kernel will not cut for this address.
  uint32_t peer;
  size_t start;
  size_t bytes;
  size_t segment_bytes;
  // The kernel will not cut this one: each datagram by itself.
  bool is_single;
};

struct DatagramCounts {
  double sent = 0;
  double calls = 0;
  // Of one or many datagrams each; a call takes many.
  double writes = 0;
  // By the kernel, for good.
  double refused = 0;
  // By the full line.
  double dropped = 0;
  // The kernel's buffer was full (EAGAIN, ENOBUFS).
  double full = 0;
  // Writes that the kernel would not cut.
  double uncut = 0;
};

class Datagrams {
 public:
  // `may_cut`: the kernel cuts writes of many datagrams.
  Datagrams(UdpSocket socket, bool may_cut);

  int family() const { return socket_.family(); }
  bool may_cut() const { return may_cut_; }
  const DatagramCounts& counts() const { return counts_; }
  size_t waiting_count() const { return line_.size(); }

  // Sends, or lets wait, in order. `uncut_peers` is told whose writes the kernel would not cut.
  void Send(const uint8_t* bytes, std::vector<Message>* messages, std::vector<uint32_t>* uncut_peers);
  // What waits.
  void Retry(std::vector<uint32_t>* uncut_peers);

 private:
  size_t Transmit(const uint8_t* bytes, Message* messages, size_t count, std::vector<uint32_t>* uncut_peers);
  size_t TransmitMany(const uint8_t* bytes, const Message* messages, size_t count, int* error);
  int TransmitSingly(const uint8_t* bytes, Message* message);
  void Wait(const uint8_t* bytes, const Message& message);

  UdpSocket socket_;
  bool may_cut_;
  bool has_sendmmsg_ = true;
  DatagramCounts counts_;
  struct Waiting {
    Message message;
    std::vector<uint8_t> bytes;
  };
  std::deque<Waiting> line_;
  size_t line_bytes_ = 0;
};

// Whether this kernel cuts: tried on a socket of its own, since containers and old kernels say so each in their own way.
bool KernelCutsDatagrams();

}  // namespace sluice

#endif
