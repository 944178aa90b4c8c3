/** What a person sees when the server has started: where to look, what to paste into OBS. Written to the error stream, so that logs stay pure. */
import type { KeyStore } from './access/key-store.ts';

export type WelcomeFacts = {
  readonly httpPort: number;
  /** Undefined when there is no certificate. */
  readonly httpsPort: number | undefined;
  readonly rtmpPort: number;
  readonly keys: KeyStore;
  /** The first run shows the secrets; later ones say where they are. */
  readonly isFirstRun: boolean;
  readonly keyFilePath: string;
  readonly firstName: string;
  readonly isLoopbackOpen: boolean;
  readonly demoName: string | undefined;
};

export const welcomeText = (facts: WelcomeFacts): string => {
  const lines = [
    '',
    `  Sluice is live at  http://localhost:${facts.httpPort}/`,
    ...(facts.httpsPort === undefined ? [] : [`             and at  https://localhost:${facts.httpsPort}/`]),
    ...(facts.demoName === undefined
      ? []
      : [`  Watch the demo at  http://localhost:${facts.httpPort}/watch/${facts.demoName}`]),
    `  Your studio is at  http://localhost:${facts.httpPort}/studio/${facts.isFirstRun ? facts.firstName : 'NAME'}   (opens with the stream key)`,
    '',
    '  Paste into OBS (Settings → Stream → Service: Custom):',
    `    Server:      rtmp://localhost:${facts.rtmpPort}/live`,
    `    Stream key:  ${streamKeyLine(facts)}`,
    ...(facts.isFirstRun
      ? [`    Admin key:   ${facts.keys.adminKey}   (for /dashboard and the API; not for OBS)`]
      : []),
    facts.isLoopbackOpen
      ? '  An encoder on this machine may leave the key out.'
      : '  Every encoder needs its key (publish.loopback in config/default.yaml says why).',
    '',
  ];
  return `${lines.join('\n')}\n`;
};

const streamKeyLine = ({ isFirstRun, keys, firstName, keyFilePath }: WelcomeFacts): string =>
  isFirstRun
    ? `${firstName}?key=${keys.publishKeyOf(firstName) ?? ''}`
    : `NAME?key=SECRET   (keys are in ${keyFilePath})`;
