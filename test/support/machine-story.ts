/** A player's machine, told what happens in made-up time: short stories for its tests. */
import type { LiveEvent, Transport } from '../../player/state-machine.ts';
import type { WatchState } from '../../server/api/contract/socket.ts';

type Machine<TEvent, TAction> = { handle(event: TEvent, nowMs: number): readonly TAction[] };

export class MachineStory<TMachine extends Machine<TEvent, TAction>, TEvent, TAction> {
  readonly machine: TMachine;
  readonly #words: (action: TAction) => string;
  nowMs = 1000;

  /** `words` says an action as the stories read it: `open-whep`, `show ll-hls`… */
  constructor(machine: TMachine, words: (action: TAction) => string) {
    this.machine = machine;
    this.#words = words;
    this.tell({ type: 'visibility', visible: true });
  }

  /** What the machine wants done about it. */
  tell(event: TEvent | LiveEvent): string[] {
    return this.machine.handle(event as TEvent, this.nowMs).map(this.#words);
  }

  /** Lets time pass in ticks, answering all that was wanted meanwhile. */
  wait(durationMs: number): string[] {
    const actions: string[] = [];
    for (const endMs = this.nowMs + durationMs; this.nowMs < endMs;) {
      this.nowMs += 250;
      actions.push(...this.tell({ type: 'tick' }));
    }
    return actions;
  }

  server(state: WatchState, broadcastId: string | null = 'first'): string[] {
    return this.tell({ type: 'server-state', state, broadcastId });
  }

  picture(transport: Transport): string[] {
    return this.tell({ type: 'picture', transport });
  }
}
