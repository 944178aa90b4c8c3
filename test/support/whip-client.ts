/** A WHIP publisher without a browser: an offer as Chrome makes it, our transport in the publishing role, packets of `RtpPublisher` over a real socket. */
import type { HttpAnswer } from '../../server/base/http-exchange.ts';
import { RtpPublisher } from './rtp-publisher.ts';
import { offerSdp } from './whep-client.ts';
import { encryptRtp, openSrtcp, openSrtp, type WeriftRtpSession, type WeriftSession } from './werift-srtp.ts';
import { WhepTransport } from './whep-transport.ts';

type OfferOptions = Exclude<Parameters<typeof offerSdp>[0], undefined>;

/** As Chrome offers to send. */
export const whipOfferSdp = (options: OfferOptions = {}): string =>
  offerSdp({ direction: 'sendonly', ...options }).replace(
    'a=rtcp-fb:111 transport-cc',
    'a=rtcp-fb:111 transport-cc\r\na=rtcp-fb:111 nack',
  );

export class WhipClient {
  readonly publisher = new RtpPublisher();
  readonly answer: HttpAnswer;
  readonly #transport: WhepTransport;
  readonly #srtp: WeriftRtpSession;
  readonly #srtcp: WeriftSession;
  #rtcpCount = 0;

  private constructor(transport: WhepTransport) {
    this.#transport = transport;
    this.answer = transport.answer;
    this.#srtp = openSrtp(transport.keys);
    this.#srtcp = openSrtcp(transport.keys);
  }

  /** Resolves once DTLS is done. */
  static async connect(options: {
    post: (offer: string) => Promise<HttpAnswer>;
    srtpProfiles?: readonly number[];
  }): Promise<WhipClient> {
    const receiver = { onMedia: (_datagram: Buffer): void => undefined };
    const transport = await WhepTransport.connect({
      offer: (own) => whipOfferSdp(own),
      post: options.post,
      ...(options.srtpProfiles === undefined ? {} : { srtpProfiles: options.srtpProfiles }),
      mediaHost: '127.0.0.1',
      onMedia: (datagram) => receiver.onMedia(datagram),
    });
    const client = new WhipClient(transport);
    receiver.onMedia = (datagram) => client.#onMedia(datagram);
    return client;
  }

  /** Compounds that the server sent. */
  get rtcpCount(): number {
    return this.#rtcpCount;
  }

  /** Encrypts by werift, and sends. */
  send(packet: Buffer): void {
    this.#transport.send(encryptRtp(this.#srtp, packet));
  }

  sendRaw(datagram: Buffer): void {
    this.#transport.send(datagram);
  }

  fallSilent(): void {
    this.#transport.fallSilent();
  }

  close(): void {
    this.#transport.close();
  }

  #onMedia(datagram: Buffer): void {
    this.#rtcpCount += 1;
    this.publisher.onRtcp(this.#srtcp.decrypt(datagram)).forEach((packet) => this.send(packet));
  }
}
