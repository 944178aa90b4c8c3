/**
 * A way to servers that holds little. On loopback a segment has 64 KiB, so the kernel takes 4 MB from a server before it feels that nobody
 * reads; on a network its send buffer is about twice the window. Node cannot set a TCP socket's segment size or buffer, so a few lines of
 * Perl (part of every Debian) do: they take connections on a Unix socket and open each to the server with 1,460 bytes and a small buffer.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import path from 'node:path';
import { WorldError } from '../../../server/base/errors.ts';
import type { Scheduling } from './raise-priority.ts';
import { tempFolder } from '../../support/temp-folder.ts';

export type ServerAddress = { readonly host: string; readonly port: number };

const SCRIPT = String.raw`
use strict; use Socket qw(:DEFAULT IPPROTO_TCP TCP_NODELAY); use Fcntl; use POSIX ();
my ($path, $host, $port) = @ARGV;
my ($maxseg, $buffer) = (2, 16384);
$SIG{PIPE} = 'IGNORE'; $SIG{CHLD} = 'IGNORE';
sub loosen { fcntl($_[0], F_SETFL, fcntl($_[0], F_GETFL, 0) | O_NONBLOCK) }
sub carry {
  my ($near) = @_;
  socket(my $far, PF_INET, SOCK_STREAM, 0) or return;
  setsockopt($far, IPPROTO_TCP, $maxseg, pack('i', 1460));
  setsockopt($far, IPPROTO_TCP, TCP_NODELAY, pack('i', 1));
  setsockopt($far, SOL_SOCKET, SO_RCVBUF, pack('i', $buffer));
  setsockopt($near, SOL_SOCKET, SO_SNDBUF, pack('i', $buffer));
  connect($far, sockaddr_in($port, inet_aton($host))) or return;
  loosen($near); loosen($far);
  my @ways = ([$near, $far, '', 1], [$far, $near, '', 1]);
  while (grep { $_->[3] || $_->[2] ne '' } @ways) {
    my ($r, $w) = ('', '');
    for my $way (@ways) {
      vec($r, fileno($way->[0]), 1) = 1 if $way->[3] && $way->[2] eq '';
      vec($w, fileno($way->[1]), 1) = 1 if $way->[2] ne '';
    }
    next if select($r, $w, undef, undef) < 0;
    for my $way (@ways) {
      my ($from, $to) = @$way;
      if ($way->[3] && $way->[2] eq '' && vec($r, fileno($from), 1)) {
        my $count = sysread($from, $way->[2], $buffer);
        if (!defined $count) { next if $!{EAGAIN} || $!{EINTR}; return; }
        if ($count == 0) { $way->[3] = 0; shutdown($to, 1); next; }
      }
      if ($way->[2] ne '') {
        my $count = syswrite($to, $way->[2]);
        if (!defined $count) { next if $!{EAGAIN} || $!{EINTR}; return; }
        substr($way->[2], 0, $count) = '';
      }
    }
  }
}
socket(my $door, PF_UNIX, SOCK_STREAM, 0) or exit 1;
bind($door, sockaddr_un($path)) && listen($door, 128) or exit 1;
syswrite(STDOUT, "ready\n");
while (1) {
  my $r = '';
  vec($r, fileno($door), 1) = 1; vec($r, fileno(STDIN), 1) = 1;
  next if select($r, undef, undef, undef) < 0;
  exit 0 if vec($r, fileno(STDIN), 1);
  next unless accept(my $near, $door);
  my $pid = fork();
  if (defined $pid && $pid == 0) { close $door; close STDIN; carry($near); POSIX::_exit(0); }
  close $near;
}
`;

const START_MAX_MS = 3_000;

export class SmallBuffers {
  readonly #scheduling: Scheduling;
  readonly #isAvailable = spawnSync('perl', ['-MSocket', '-MFcntl', '-MPOSIX', '-e', '1']).status === 0;
  readonly #folder = tempFolder('link');
  readonly #doors = new Map<string, Promise<string>>();
  readonly #children: ChildProcess[] = [];

  constructor(scheduling: Scheduling) {
    this.#scheduling = scheduling;
  }

  /** False: connections go to servers directly, and the kernel hides megabytes. */
  get isAvailable(): boolean {
    return this.#isAvailable;
  }

  /** Path of a Unix socket that leads to this IPv4 address; undefined where there is no such way. */
  async doorTo({ host, port }: ServerAddress): Promise<string | undefined> {
    if (!this.#isAvailable || host.includes(':')) {
      return undefined;
    }
    const key = `${host} ${port}`;
    const door = this.#doors.get(key) ?? this.#open({ host, port });
    this.#doors.set(key, door);
    return door;
  }

  /** Ends the doors; connections that are open end with their sockets. */
  close(): void {
    for (const child of this.#children) {
      child.stdin?.end();
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #open({ host, port }: ServerAddress): Promise<string> {
    const file = path.join(this.#folder, String(this.#doors.size));
    const perl = ['perl', '-e', SCRIPT, file, host, String(port)];
    // What carries packets goes before other work, as the link itself does.
    const [program = 'perl', ...args] = this.#scheduling === 'real-time' ? ['chrt', '--fifo', '1', ...perl] : perl;
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#children.push(child);
    await Promise.race([
      once(child.stdout, 'data', { signal: AbortSignal.timeout(START_MAX_MS) }),
      once(child, 'exit').then(([code]) => {
        throw new WorldError('LINK_DOOR_FAILED', `the way to ${host}:${port} ended with ${code}`);
      }),
    ]);
    return file;
  }
}
