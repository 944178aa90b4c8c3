/** A storyboard: how many thumbnails a recording gets, on which sheets, and the WebVTT that tells players where each lies. Pure. */

export type StoryboardPlan = {
  readonly intervalMs: number;
  readonly widthPx: number;
  readonly heightPx: number;
  /** Where the recording is looked at: the middle of what each thumbnail stands for. */
  readonly atMs: readonly number[];
};

/** Of one look: the sheet it is on and its place there, row by row. */
export type PlacedThumbnail = { readonly sheetIndex: number; readonly placeIndex: number; readonly startMs: number };

export const THUMBNAIL_WIDTH_PX = 160;
export const SHEET_COLUMN_COUNT = 10;
export const SHEET_MAX_COUNT = 100;
/** The finest that needs no more than `THUMBNAIL_MAX_COUNT` looks is taken. */
const INTERVALS_S = [2, 5, 10, 15, 20, 30, 60, 90, 120, 180, 300];
const THUMBNAIL_MAX_COUNT = 240;

export const planStoryboard = (options: {
  readonly durationMs: number;
  readonly pictureWidthPx: number;
  readonly pictureHeightPx: number;
}): StoryboardPlan => {
  const { durationMs, pictureWidthPx, pictureHeightPx } = options;
  const fitting = INTERVALS_S.find((intervalS) => durationMs / (intervalS * 1000) <= THUMBNAIL_MAX_COUNT);
  const intervalMs = (fitting ?? Math.ceil(durationMs / 1000 / THUMBNAIL_MAX_COUNT)) * 1000;
  const count = Math.max(1, Math.ceil(durationMs / intervalMs));
  return {
    intervalMs,
    widthPx: THUMBNAIL_WIDTH_PX,
    heightPx: Math.max(2, 2 * Math.round((THUMBNAIL_WIDTH_PX * pictureHeightPx) / pictureWidthPx / 2)),
    atMs: Array.from({ length: count }, (_, index) => Math.min((index + 0.5) * intervalMs, durationMs)),
  };
};

/** `sheetNames` by sheet index, relative to the VTT. The last thumbnail lasts until the end. */
export const renderStoryboardVtt = (
  plan: StoryboardPlan,
  options: {
    readonly durationMs: number;
    readonly thumbnails: readonly PlacedThumbnail[];
    readonly sheetNames: readonly string[];
  },
): string => {
  const { thumbnails, sheetNames, durationMs } = options;
  const cues = thumbnails.map(({ sheetIndex, placeIndex, startMs }, index) => {
    const endMs = thumbnails[index + 1]?.startMs ?? Math.max(durationMs, startMs + 1);
    const x = (placeIndex % SHEET_COLUMN_COUNT) * plan.widthPx;
    const y = Math.floor(placeIndex / SHEET_COLUMN_COUNT) * plan.heightPx;
    const uri = `${sheetNames[sheetIndex] ?? ''}#xywh=${x},${y},${plan.widthPx},${plan.heightPx}`;
    return `${vttTime(startMs)} --> ${vttTime(endMs)}\n${uri}\n`;
  });
  return `WEBVTT\n\nNOTE duration ${Math.round(durationMs)}\n\n${cues.join('\n')}`;
};

/** What `renderStoryboardVtt` was told; undefined for a text of other making. */
export const durationOfVtt = (vtt: string): number | undefined => {
  const match = /^NOTE duration (\d{1,12})$/m.exec(vtt);
  return match === null ? undefined : Number(match[1]);
};

export const vttTime = (ms: number): string => {
  const whole = Math.round(ms);
  const two = (value: number): string => String(value).padStart(2, '0');
  const seconds = Math.floor(whole / 1000);
  const clock = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60, seconds % 60].map(two).join(':');
  return `${clock}.${String(whole % 1000).padStart(3, '0')}`;
};
