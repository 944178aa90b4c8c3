/** A way to a peer: a UDP address on the shared socket, or a TCP connection. */
export type Path = PathAddress & {
  /** Unique among live paths: `udp 1.2.3.4 5678`. */
  readonly key: string;
  /** Hands bytes `start … end` of `bytes` to the kernel; false when it would not take them, or its queue is full. Never throws. */
  send(bytes: Buffer, start: number, end: number): boolean;
  /** True while what was sent before has not left yet: a reader too slow for its medium. */
  readonly isCongested: boolean;
  close(): void;
};

/** What the native back end knows of a path. */
export type PathAddress = { readonly kind: 'udp' | 'tcp'; readonly address: string; readonly port: number };
