/** What viewers of a thread are told of their broadcasts, as the main thread says it. */
import type { Audience, AudienceNews } from '../relay/webrtc/whep-extensions.ts';

const ABSENT: AudienceNews = { state: 'absent', viewerCount: 0, renditions: [] };

export class MirroredAudience implements Audience {
  readonly #news = new Map<string, AudienceNews>();
  readonly #watchers = new Map<string, Set<(news: AudienceNews) => void>>();

  newsOf(name: string): AudienceNews {
    return this.#news.get(name) ?? ABSENT;
  }

  watch(name: string, onNews: (news: AudienceNews) => void): () => void {
    const watchers = this.#watchers.get(name) ?? new Set();
    this.#watchers.set(name, watchers);
    watchers.add(onNews);
    return () => {
      watchers.delete(onNews);
      if (watchers.size === 0 && this.#watchers.get(name) === watchers) {
        this.#watchers.delete(name);
      }
    };
  }

  /** Undefined: the broadcast is over. */
  tell(name: string, news: AudienceNews | undefined): void {
    if (news === undefined) {
      this.#news.delete(name);
    } else {
      this.#news.set(name, news);
    }
    this.#watchers.get(name)?.forEach((onNews) => onNews(news ?? ABSENT));
  }
}
