/** nginx in one process, with a configuration of the test's own, in a temporary folder. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import path from 'node:path';
import { within } from './wait.ts';
import { tempFolder } from './temp-folder.ts';

const START_MAX_MS = 10_000;

/** A reason to skip, or false. */
export const nginxMissing = (): string | false =>
  spawnSync('nginx', ['-v'], { stdio: 'ignore' }).status === 0
    ? false
    : 'nginx is not installed (apt-get install nginx)';

export class NginxProcess {
  readonly port: number;
  readonly folder: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;

  private constructor(parts: { port: number; folder: string; child: ChildProcess; ended: Promise<unknown> }) {
    this.port = parts.port;
    this.folder = parts.folder;
    this.#child = parts.child;
    this.#ended = parts.ended;
  }

  /** `http`: what stands in the `http` block; `LISTEN` and `FOLDER` in it are replaced. `cpus`: taskset's list. */
  static async start(options: { http: string; cpus?: string }): Promise<NginxProcess> {
    const folder = tempFolder('nginx');
    const port = await freePort();
    const http = options.http.replaceAll('LISTEN', `127.0.0.1:${port}`).replaceAll('FOLDER', folder);
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
      (kind) => `${kind}_temp_path ${folder}/${kind};`,
    );
    const text = [
      `pid ${folder}/pid;`,
      `error_log ${folder}/error.log warn;`,
      'worker_processes 1; worker_rlimit_nofile 20000; daemon off; master_process off;',
      'events { worker_connections 9000; }',
      `http { access_log off; ${temporary.join(' ')} ${http} }`,
    ].join('\n');
    await writeFile(path.join(folder, 'nginx.conf'), text);
    const command = ['nginx', '-c', path.join(folder, 'nginx.conf'), '-e', path.join(folder, 'error.log')];
    const pinned = options.cpus === undefined ? command : ['taskset', '-c', options.cpus, ...command];
    const child = spawn(pinned[0]!, pinned.slice(1), { stdio: ['ignore', 'ignore', 'ignore'] });
    const nginx = new NginxProcess({ port, folder, child, ended: once(child, 'exit') });
    try {
      await within(START_MAX_MS, 'nginx answers', async () => {
        if (child.exitCode !== null) {
          throw new Error(`nginx ended with ${child.exitCode}: ${await nginx.errorText()}`);
        }
        return fetch(`http://127.0.0.1:${port}/`).then(
          () => true,
          () => false,
        );
      });
    } catch (error) {
      await nginx.stop();
      throw error;
    }
    return nginx;
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  async errorText(): Promise<string> {
    return readFile(path.join(this.folder, 'error.log'), 'utf8');
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill('SIGKILL');
      await this.#ended;
    }
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** nginx cannot take "any" port and tell; the moment between is a race that the start's own check sees. */
const freePort = async (): Promise<number> => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
};
