/**
 * PATCH of a session's URL as WHIP (RFC 9725 4.3) and WHEP have it: candidates under the ETag of the ICE session in force, or an ICE restart under `*`.
 * The ETag is strong, unguessable and new with each restart.
 */
import { randomBytes } from 'node:crypto';
import type { HttpAnswer, HttpRequest } from '../base/http-exchange.ts';
import { refuse } from '../base/http-exchange.ts';
import type { PeerTransport } from './peer-transport.ts';
import { buildSdpFragment, parseSdpFragment } from './sdp-fragment.ts';
import type { IceCredentials } from './sdp-offer.ts';
import type { Signalling } from './signalling-http.ts';
import { FRAGMENT_TYPE, SDP_TYPE, contentTypeOf, refusalOf, textOf, wrongType } from './signalling-http.ts';
import type { WebRtcPort } from './webrtc-port.ts';

export class IceResource {
  readonly #port: WebRtcPort;
  readonly #peer: PeerTransport;
  readonly #mid: string;
  readonly #codePrefix: Signalling;
  #remoteIce: IceCredentials;
  #etag = newEtag();

  /** `codePrefix`: of the refusals' codes. `mid`: of the section whose transport it is. */
  constructor(options: {
    port: WebRtcPort;
    peer: PeerTransport;
    remoteIce: IceCredentials;
    mid: string;
    codePrefix: Signalling;
  }) {
    this.#port = options.port;
    this.#peer = options.peer;
    this.#remoteIce = options.remoteIce;
    this.#mid = options.mid;
    this.#codePrefix = options.codePrefix;
  }

  get etag(): string {
    return this.#etag;
  }

  /** A failed restart leaves the session as it was. Throws nothing. */
  patch(request: HttpRequest): HttpAnswer {
    const prefix = this.#codePrefix;
    const type = contentTypeOf(request);
    if (type === SDP_TYPE) {
      return refuse(
        422,
        `${prefix}_PATCH_UNSUPPORTED`,
        'this session has its answer and is not renegotiated; a PATCH is for candidates or an ICE restart',
      );
    }
    if (type !== FRAGMENT_TYPE) {
      return wrongType(prefix, request, FRAGMENT_TYPE);
    }
    const ifMatch = request.headers['if-match']?.trim() ?? '';
    if (ifMatch === '') {
      return refuse(
        428,
        `${prefix}_IF_MATCH_REQUIRED`,
        'expected If-Match: the ETag for candidates, * for an ICE restart',
      );
    }
    const isAny = ifMatch === '*';
    if (!isAny && !ifMatch.split(',').some((tag) => tag.trim() === this.#etag)) {
      return refuse(412, `${prefix}_ETAG_MISMATCH`, 'this ICE session is over; restart it with If-Match: *');
    }
    try {
      return this.#trickleOrRestart(parseSdpFragment(textOf(request)), isAny);
    } catch (error) {
      return refusalOf(prefix, error);
    }
  }

  /** A lite agent needs no candidates of its peer: trickling is a courtesy. Other credentials than the last mean a restart. */
  #trickleOrRestart(ice: IceCredentials, isAny: boolean): HttpAnswer {
    if (ice.ufrag === this.#remoteIce.ufrag && ice.password === this.#remoteIce.password) {
      return { status: 204, headers: {} };
    }
    if (!isAny) {
      return refuse(422, `${this.#codePrefix}_PATCH_UNSUPPORTED`, 'an ICE restart must carry If-Match: *');
    }
    this.#remoteIce = ice;
    this.#port.restartIce(this.#peer);
    this.#etag = newEtag();
    const { endpoints, hasTcp } = this.#port;
    return {
      status: 200,
      headers: { 'content-type': FRAGMENT_TYPE, etag: this.#etag },
      body: buildSdpFragment({ ice: this.#peer.credentials, mid: this.#mid, endpoints, hasTcp }),
    };
  }
}

const newEtag = (): string => `"${randomBytes(12).toString('hex')}"`;
