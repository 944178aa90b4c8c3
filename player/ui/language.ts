/** Which table of words a player speaks from. Pure. */
import { CHINESE } from './texts-chinese.ts';
import { ENGLISH, type Texts } from './texts.ts';

const TABLES: Readonly<Record<string, Texts>> = { en: ENGLISH, zh: CHINESE };

/** That of the first language there is a table for (`zh-Hans-CN`, `en`), in order of liking; else English. */
export const textsOf = (languages: readonly string[]): Texts =>
  languages
    .map((language) => TABLES[language.toLowerCase().split('-')[0] ?? ''])
    .find((table) => table !== undefined) ?? ENGLISH;
