/** `{name}` and its like in addresses and commands of `lab.yaml`. */

/** Known names are filled in; braces around anything else stay as they are (they may belong to a command). */
export const fillIn = (text: string, values: Readonly<Record<string, string>>): string =>
  text.replaceAll(/\$?\{([a-zA-Z]+)\}/g, (whole, key: string) =>
    Object.hasOwn(values, key) ? (values[key] ?? whole) : whole,
  );
