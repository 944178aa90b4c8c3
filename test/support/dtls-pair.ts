/** A handshake in memory: our server, by either engine, and a client, werift's or OpenSSL's, with whatever the way between them does to datagrams. */
import { loadNative } from '../../server/native/native.ts';
import type { SrtpKeys } from '../../server/webrtc-transport/dtls.ts';
import { createDtlsIdentity, DtlsHandshake, type DtlsListener } from '../../server/webrtc-transport/dtls-handshake.ts';
import { DtlsClientHandshake } from './dtls-client.ts';

export type EngineName = 'werift' | 'native';
/** Carries a datagram, or does not, or late, or twice. */
export type Way = (datagram: Buffer, deliver: (datagram: Buffer) => void) => void;

export type PairOptions = {
  readonly server: EngineName;
  readonly client: EngineName;
  readonly toServer?: Way;
  readonly toClient?: Way;
  /** What the SDP names as the client's, the server's certificate. */
  readonly clientFingerprint?: string;
  readonly serverFingerprint?: string;
  /** Of werift's client. */
  readonly srtpProfiles?: readonly number[];
  /** The time that both are told; left out: the machine's. */
  readonly nowMs?: () => number;
};

/** Those that this machine has. */
export const ENGINES: readonly EngineName[] = loadNative().native === undefined ? ['werift'] : ['werift', 'native'];

export type Side = { readonly keys: SrtpKeys | undefined; readonly ends: readonly string[] };

export class DtlsPair {
  readonly server: DtlsHandshake;
  readonly client: DtlsClientHandshake | DtlsHandshake;
  readonly #sides: { server: { keys?: SrtpKeys; ends: string[] }; client: { keys?: SrtpKeys; ends: string[] } } = {
    server: { ends: [] },
    client: { ends: [] },
  };

  private constructor(parts: { options: PairOptions; identities: Record<EngineName, Identity> }) {
    const { options, identities } = parts;
    const straight: Way = (datagram, deliver) => deliver(datagram);
    const nowMs = nowOf(options);
    this.server = new DtlsHandshake({
      identity: identities[options.server],
      remoteFingerprints: [fingerprintOf(options.clientFingerprint ?? identities[options.client].fingerprint)],
      listener: this.#listen('server', options.toClient ?? straight, (datagram) =>
        this.client.onDatagram(datagram, nowMs()),
      ),
    });
    const clientOptions = {
      identity: identities[options.client],
      remoteFingerprints: [fingerprintOf(options.serverFingerprint ?? identities[options.server].fingerprint)],
      listener: this.#listen('client', options.toServer ?? straight, (datagram) =>
        this.server.onDatagram(datagram, nowMs()),
      ),
    };
    this.client =
      options.client === 'native'
        ? new DtlsHandshake({ ...clientOptions, role: 'client' })
        : new DtlsClientHandshake({ ...clientOptions, srtpProfiles: options.srtpProfiles });
  }

  static async start(options: PairOptions): Promise<DtlsPair> {
    const pair = new DtlsPair({ options, identities: await sharedIdentities() });
    pair.client.start(nowOf(options)());
    return pair;
  }

  get serverSide(): Side {
    return { keys: this.#sides.server.keys, ends: this.#sides.server.ends };
  }

  get clientSide(): Side {
    return { keys: this.#sides.client.keys, ends: this.#sides.client.ends };
  }

  close(): void {
    this.client.close();
    this.server.close();
  }

  #listen(side: 'server' | 'client', way: Way, deliver: (datagram: Buffer) => void): DtlsListener {
    return {
      onOutgoing: (datagram) => {
        const copy = Buffer.from(datagram);
        setImmediate(() => way(copy, (arrived) => deliver(Buffer.from(arrived))));
      },
      onKeys: (keys) => {
        this.#sides[side].keys = keys;
      },
      onEnd: (reason) => this.#sides[side].ends.push(reason),
    };
  }
}

const nowOf = ({ nowMs = () => performance.now() }: PairOptions): (() => number) => nowMs;

type Identity = Awaited<ReturnType<typeof createDtlsIdentity>>;

let identities: Promise<Record<EngineName, Identity>> | undefined;

const sharedIdentities = async (): Promise<Record<EngineName, Identity>> => {
  identities ??= (async () => ({
    werift: await createDtlsIdentity(),
    native: await createDtlsIdentity(loadNative().native?.dtls),
  }))();
  return identities;
};

const fingerprintOf = (text: string): { algorithm: string; value: string } => {
  const [algorithm = '', value = ''] = text.split(' ');
  return { algorithm, value };
};
