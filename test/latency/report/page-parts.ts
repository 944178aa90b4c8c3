/** What makes a report one file: libraries, scripts and data put into the page, so that nothing inside ends its element. */
import { readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { fileURLToPath } from 'node:url';

/** A file of a package, such as `uplot/dist/uPlot.min.css`. */
export const moduleText = (name: string): string => readFileSync(fileURLToPath(import.meta.resolve(name)), 'utf8');

/** A script of ours that runs in the page, without its types; it imports nothing but types. */
export const pageScript = (url: URL): string =>
  scriptSafe(stripTypeScriptTypes(readFileSync(url, 'utf8'))).replaceAll(/^import type .*$/gm, '');

/** For a script element of type `application/json`. */
export const dataJson = (data: unknown): string => JSON.stringify(data).replaceAll('<', String.raw`\u003c`);

const scriptSafe = (text: string): string => text.replaceAll('</', '<\\/').replaceAll('<!--', '<\\!--');
