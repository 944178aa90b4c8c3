/** The player's markup and style. Colours and shape can be set from outside by CSS variables, pieces by parts (README). */
export const MARKUP = `
<div class="frame" part="frame" tabindex="0" role="region">
  <div class="stage" part="stage"></div>
  <div class="words" part="words" role="status" aria-live="polite" hidden>
    <span class="spinner" aria-hidden="true"></span>
    <p class="headline"></p>
    <p class="detail"></p>
  </div>
  <div class="badges" part="badges" hidden>
    <span class="live" part="live-badge"></span>
    <button type="button" class="latency" part="latency-badge" aria-controls="health" hidden></button>
    <span class="note" part="note" hidden></span>
  </div>
  <div class="shade"></div>
  <dl class="health" id="health" part="health" role="group" hidden></dl>
  <div class="toasts" part="toasts"></div>
  <div class="cue-cards" part="cue-cards" role="region"></div>
  <div class="countdown" part="countdown" aria-hidden="true" hidden>
    <span class="count-words"></span><span class="count-seconds"></span>
  </div>
  <p class="said" role="status" aria-live="polite"></p>
  <button type="button" class="sound" part="sound-button" hidden>
    <svg viewBox="0 0 24 24" aria-hidden="true"><path d="M4 9.5v5h3.4l4.6 4V5.500l-4.600 4z"/><path class="line" d="m16 9.500 5 5m0-5-5 5"/></svg>
    <span></span>
  </button>
  <button type="button" class="big-play" part="big-play" hidden>
    <svg viewBox="0 0 24 24" aria-hidden="true"><path d="M8 5v14l11-7z"/></svg>
  </button>
  <div class="controls" part="controls">
    <div class="bar">
      <div class="seek off" part="seek" role="slider" tabindex="-1">
        <div class="track"><div class="played"></div></div>
        <div class="knob"></div>
        <div class="preview" part="preview" hidden>
          <div class="thumbnail" hidden></div>
          <div class="preview-words"><span class="preview-title" part="preview-title" hidden></span><span class="preview-time"></span></div>
        </div>
      </div>
      <div class="chapters" part="chapters" role="group"></div>
    </div>
    <div class="row">
      <button type="button" class="play icon">
        <svg class="when-playing" viewBox="0 0 24 24" aria-hidden="true"><path d="M7 5h3.500v14H7zM13.500 5H17v14h-3.500z"/></svg>
        <svg class="when-paused" viewBox="0 0 24 24" aria-hidden="true"><path d="M8 5v14l11-7z"/></svg>
      </button>
      <button type="button" class="mute icon">
        <svg class="when-loud" viewBox="0 0 24 24" aria-hidden="true"><path d="M4 9.500v5h3.400l4.600 4v-13l-4.600 4z"/><path class="line" d="M15.500 9a4.200 4.200 0 0 1 0 6m2.400-8.400a7.600 7.600 0 0 1 0 10.800"/></svg>
        <svg class="when-muted" viewBox="0 0 24 24" aria-hidden="true"><path d="M4 9.500v5h3.400l4.600 4v-13l-4.600 4z"/><path class="line" d="m16 9.500 5 5m0-5-5 5"/></svg>
      </button>
      <input type="range" class="volume" min="0" max="1" step="0.05">
      <button type="button" class="go-live" part="live-button" hidden><span class="dot" aria-hidden="true"></span><span class="go-live-text"></span></button>
      <span class="time" part="time"></span>
      <span class="gap"></span>
      <button type="button" class="captions icon" hidden>
        <svg viewBox="0 0 24 24" aria-hidden="true"><path class="line" d="M4.500 5.500h15v13h-15zM10.500 10.600a2 2 0 1 0 0 2.800m6.500-2.800a2 2 0 1 0 0 2.800"/></svg>
      </button>
      <select class="speed" hidden></select>
      <button type="button" class="rendition" part="rendition-button" aria-haspopup="menu" aria-expanded="false" hidden></button>
      <button type="button" class="health-button icon" part="health-button" aria-controls="health">
        <svg viewBox="0 0 24 24" aria-hidden="true"><path class="line" d="M3.500 12.500h4l2.500-6 4 11 2.500-5h4"/></svg>
      </button>
      <button type="button" class="small-window icon" hidden>
        <svg viewBox="0 0 24 24" aria-hidden="true"><path class="line" d="M10 18.500H4.500v-13h15V10"/><path d="M12.500 12.500h8v6.500h-8z"/></svg>
      </button>
      <button type="button" class="full icon">
        <svg class="when-small" viewBox="0 0 24 24" aria-hidden="true"><path class="line" d="M4.500 9V4.500H9M15 4.500h4.500V9m0 6v4.500H15M9 19.500H4.500V15"/></svg>
        <svg class="when-full" viewBox="0 0 24 24" aria-hidden="true"><path class="line" d="M9 4.500V9H4.500M19.500 9H15V4.500m0 15V15h4.500M4.500 15H9v4.500"/></svg>
      </button>
    </div>
  </div>
  <div class="menu" part="rendition-menu" role="menu" hidden></div>
</div>`;

export const STYLE = `
:host {
  display: block;
  --accent: var(--sluice-accent, #ff4d5e);
  --paper: var(--sluice-background, #0b0d12);
  --ink: var(--sluice-ink, #f3f5f9);
  font: 500 14px/1.4 var(--sluice-font, system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif);
  color: var(--ink);
}
:host([hidden]) { display: none; }
[hidden] { display: none !important; }
* { box-sizing: border-box; }
.frame {
  position: relative; overflow: hidden; width: 100%; height: 100%;
  aspect-ratio: var(--sluice-aspect, 16 / 9);
  background: var(--paper); border-radius: var(--sluice-radius, 0);
  outline: none; user-select: none; -webkit-user-select: none;
  container-type: inline-size;
}
.frame:focus-visible { box-shadow: inset 0 0 0 2px var(--ink); }
:host(:fullscreen) .frame { height: 100vh; aspect-ratio: auto; border-radius: 0; }
.stage, .stage > * { position: absolute; inset: 0; width: 100%; height: 100%; }
.stage > * { object-fit: contain; background: var(--paper); }
.stage > video { opacity: 0; pointer-events: none; }
.stage > video.shown { opacity: 1; }
.words {
  position: absolute; inset: 0; padding: 24px 16px; text-align: center;
  display: flex; flex-direction: column; align-items: center; justify-content: center; gap: 4px;
  background: radial-gradient(120% 120% at 50% 0%, #1b2130 0%, var(--paper) 70%);
  animation: appear .25s ease-out;
}
.words.over-picture { background: rgb(8 10 15 / .62); backdrop-filter: blur(3px); -webkit-backdrop-filter: blur(3px); }
.words p { margin: 0; max-width: 34em; }
.headline { font-size: clamp(17px, 3.4cqi, 24px); font-weight: 600; letter-spacing: -.01em; }
.detail { opacity: .72; }
.detail:empty { display: none; }
.spinner {
  width: 26px; height: 26px; margin-bottom: 12px; border-radius: 50%;
  border: 2.5px solid rgb(255 255 255 / .18); border-top-color: var(--ink);
  animation: turn 1s linear infinite;
}
.calm .spinner { display: none; }
.badges {
  position: absolute; top: 12px; left: 12px; right: 12px; display: flex; flex-wrap: wrap; gap: 6px; pointer-events: none;
  font-size: 12px; font-weight: 600; font-variant-numeric: tabular-nums;
}
.badges > * { padding: 3px 9px; border-radius: 99px; background: rgb(8 10 15 / .62); }
.badges > .live { background: color-mix(in srgb, var(--accent) 78%, #000); color: #fff; letter-spacing: .02em; }
.badges > .live.stale { background: rgb(60 66 80 / .85); }
.badges > .note { font-weight: 500; max-width: 100%; border-radius: 12px; opacity: .92; }
.badges > button { pointer-events: auto; }
.badges > button:hover { background: rgb(8 10 15 / .85); }
.health {
  position: absolute; top: 46px; left: 12px; margin: 0; padding: 10px 14px; border-radius: 12px; min-width: 236px;
  background: rgb(8 10 15 / .84); font-size: 12px; font-variant-numeric: tabular-nums; z-index: 1;
}
.health > div { display: flex; justify-content: space-between; gap: 16px; line-height: 1.65; white-space: nowrap; }
.health dt { opacity: .7; }
.health dd { margin: 0; font-weight: 600; }
.said { position: absolute; width: 1px; height: 1px; margin: 0; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.cue-cards, .toasts, .countdown {
  --cue-paper: var(--sluice-cue-background, rgb(255 255 255 / .96));
  --cue-ink: var(--sluice-cue-ink, #12151c);
  --cue-accent: var(--sluice-cue-accent, var(--accent));
  --cue-radius: var(--sluice-cue-radius, 14px);
}
.cue-cards {
  position: absolute; right: 12px; bottom: var(--above-controls); width: min(var(--sluice-cue-width, 300px), 100% - 24px);
  display: flex; flex-direction: column; gap: 8px; --above-controls: 88px;
}
.cue-card {
  position: relative; border-radius: var(--cue-radius); background: var(--cue-paper); color: var(--cue-ink);
  box-shadow: 0 8px 28px rgb(0 0 0 / .4); animation: rise .28s cubic-bezier(.2, .9, .3, 1.1);
}
.cue-body {
  display: flex; align-items: center; gap: 12px; min-height: 64px; padding: 8px 40px 8px 8px; color: inherit; text-decoration: none;
  border-radius: inherit;
}
.cue-body:focus-visible { outline: 3px solid var(--cue-accent); outline-offset: -3px; }
.cue-picture { width: 64px; height: 64px; flex: none; object-fit: cover; border-radius: calc(var(--cue-radius) - 6px); background: rgb(127 127 127 / .15); }
.cue-words { display: flex; flex-direction: column; min-width: 0; line-height: 1.3; padding-left: 2px; }
.cue-words > * { overflow: hidden; text-overflow: ellipsis; }
.cue-title { font-weight: 600; display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; overflow-wrap: anywhere; }
.cue-price { font-weight: 700; white-space: nowrap; font-variant-numeric: tabular-nums; }
.cue-action { font-size: 12px; font-weight: 600; color: color-mix(in srgb, var(--cue-accent) 78%, var(--cue-ink)); }
.cue-body:hover .cue-action { text-decoration: underline; text-underline-offset: 2px; }
.cue-claim {
  display: block; width: calc(100% - 16px); margin: 0 8px 8px; min-height: 44px; padding: 6px 12px; border-radius: calc(var(--cue-radius) - 6px);
  background: color-mix(in srgb, var(--cue-accent) 78%, #000); color: #fff; font-weight: 700; font-variant-numeric: tabular-nums;
}
.cue-claim:hover { background: color-mix(in srgb, var(--cue-accent) 62%, #000); }
.cue-claim:focus-visible { outline: 3px solid var(--cue-ink); outline-offset: 1px; }
.cue-claim[aria-disabled=true] { background: color-mix(in srgb, var(--cue-ink) 14%, transparent); color: inherit; cursor: default; }
.cue-claim.granted { box-shadow: inset 0 0 0 2px color-mix(in srgb, var(--cue-accent) 78%, var(--cue-ink)); background: none; }
:host([noclaims]) .cue-claim { display: none; }
.cue-close {
  position: absolute; top: 0; right: 0; width: 40px; height: 40px; font-size: 20px; line-height: 1; opacity: .6; border-radius: var(--cue-radius);
}
.cue-close:hover { opacity: 1; }
.cue-close:focus-visible { outline-color: var(--cue-accent); opacity: 1; }
.toasts {
  position: absolute; top: 46px; left: 12px; right: 12px; display: flex; flex-direction: column; align-items: center; gap: 6px; pointer-events: none;
}
.toast {
  max-width: min(100%, 30em); padding: 8px 16px; border-radius: 99px; background: var(--cue-paper); color: var(--cue-ink); font-weight: 600;
  box-shadow: 0 6px 20px rgb(0 0 0 / .35); animation: rise .28s cubic-bezier(.2, .9, .3, 1.1); overflow-wrap: anywhere;
  display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; overflow: hidden;
}
.countdown {
  position: absolute; left: 12px; bottom: 88px; pointer-events: none; display: flex; align-items: center; gap: 7px; padding: 6px 14px;
  border-radius: 99px; background: var(--cue-accent); color: #fff; font-weight: 700; font-variant-numeric: tabular-nums; white-space: nowrap;
  box-shadow: 0 6px 20px rgb(0 0 0 / .35);
}
.countdown.large { inset: 0 0 0 0; padding: 0 0 56px; display: grid; place-items: center; background: none; box-shadow: none; }
.countdown.large .count-digit {
  display: grid; place-items: center; width: 1.7em; height: 1.7em; border-radius: 50%; background: color-mix(in srgb, var(--cue-accent) 88%, transparent);
  font-size: clamp(40px, 11cqi, 104px); font-weight: 800; line-height: 1; animation: beat .9s ease-out; box-shadow: 0 10px 40px rgb(0 0 0 / .4);
}
.words:not([hidden]) ~ .countdown { display: none; }
:host([nocues]) :is(.cue-cards, .toasts, .countdown) { display: none; }
:host([nocontrols]) .cue-cards { --above-controls: 12px; }
:host([nocontrols]) .countdown:not(.large) { bottom: 12px; }
button { font: inherit; color: inherit; border: 0; background: none; cursor: pointer; padding: 0; }
svg { display: block; width: 22px; height: 22px; fill: currentColor; }
svg .line { fill: none; stroke: currentColor; stroke-width: 2; stroke-linecap: round; stroke-linejoin: round; }
.sound {
  position: absolute; left: 50%; bottom: 100px; transform: translateX(-50%); white-space: nowrap;
  display: flex; align-items: center; gap: 8px; min-height: 44px; padding: 0 18px 0 14px; border-radius: 99px;
  background: rgb(245 247 250 / .95); color: #10131a; font-weight: 600; box-shadow: 0 6px 24px rgb(0 0 0 / .35);
}
.sound:hover { background: #fff; }
.controls {
  position: absolute; left: 0; right: 0; bottom: 0; padding: 36px 12px 4px; transition: opacity .2s; pointer-events: none;
}
/* Behind the cards, which lie between it and the controls. */
.shade {
  position: absolute; left: 0; right: 0; bottom: 0; height: 112px; transition: opacity .2s; pointer-events: none;
  background: linear-gradient(to top, rgb(8 10 15 / .92), rgb(8 10 15 / .72) 55%, transparent);
}
.controls > * { pointer-events: auto; }
:host(:fullscreen) .controls {
  padding-bottom: max(4px, env(safe-area-inset-bottom)); padding-left: max(12px, env(safe-area-inset-left));
  padding-right: max(12px, env(safe-area-inset-right));
}
.row { display: flex; align-items: center; gap: 2px; margin: 0 -6px; }
.seek { position: relative; height: 24px; cursor: pointer; touch-action: none; border-radius: 6px; }
.seek.off { visibility: hidden; }
.bar { position: relative; }
.chapters { position: absolute; inset: 0; pointer-events: none; }
.seek.off + .chapters { visibility: hidden; }
.chapter {
  position: absolute; top: 0; bottom: 0; width: 14px; margin-left: -7px; pointer-events: auto; display: grid; place-items: center;
}
.chapter::before {
  content: ''; width: 4px; height: 12px; border-radius: 2px; background: #fff; box-shadow: 0 0 0 1.5px rgb(8 10 15 / .8); transition: transform .12s;
}
.chapter:is(:hover, :focus-visible)::before { transform: scale(1.4); }
.track {
  position: absolute; left: 0; right: 0; top: 50%; height: 4px; margin-top: -2px; border-radius: 2px; overflow: hidden;
  background: rgb(255 255 255 / .34); transition: transform .12s;
}
.played { height: 100%; width: calc(var(--played, 0) * 100%); background: var(--accent); }
.seek:is(:hover, .dragging, :focus-visible) .track { transform: scaleY(1.5); }
.knob {
  position: absolute; top: 50%; left: calc(var(--played, 0) * 100%); width: 14px; height: 14px; margin: -7px;
  border-radius: 50%; background: #fff; box-shadow: 0 1px 4px rgb(0 0 0 / .5);
}
.dragging .knob { transform: scale(1.3); }
.preview {
  position: absolute; bottom: 24px; transform: translateX(-50%); pointer-events: none; text-align: center;
  display: flex; flex-direction: column; align-items: center; gap: 6px;
}
.thumbnail { border-radius: 8px; box-shadow: 0 0 0 2px rgb(255 255 255 / .9), 0 6px 20px rgb(0 0 0 / .5); }
.preview-words {
  display: flex; gap: 8px; max-width: 260px; padding: 2px 8px; border-radius: 6px; background: rgb(8 10 15 / .88); font-size: 13px; font-weight: 600;
  font-variant-numeric: tabular-nums; white-space: nowrap;
}
.preview-title { overflow: hidden; text-overflow: ellipsis; }
.preview-title:not([hidden]) + .preview-time { opacity: .75; }
.time { font-size: 13px; font-weight: 600; font-variant-numeric: tabular-nums; padding: 0 6px; white-space: nowrap; }
.time:empty { display: none; }
.go-live {
  min-height: 44px; padding: 0 8px; display: flex; align-items: center; gap: 6px; border-radius: 10px;
  font-size: 12px; font-weight: 700; letter-spacing: .04em; text-transform: uppercase; white-space: nowrap;
}
.go-live:hover { background: rgb(255 255 255 / .12); }
.dot { width: 8px; height: 8px; border-radius: 50%; background: #aab2c0; }
.go-live.on .dot { background: var(--accent); }
.go-live.switching .dot { animation: pulse .8s ease-in-out infinite alternate; }
.speed {
  font: inherit; font-size: 13px; font-weight: 600; color: inherit; background: none; border: 0; min-height: 44px; min-width: 44px;
  padding: 0 4px; border-radius: 10px; cursor: pointer; appearance: none; text-align: center; text-align-last: center;
}
.speed:hover { background: rgb(255 255 255 / .12); }
.speed option { background: #161a22; color: #f3f5f9; }
.rendition { min-width: 44px; min-height: 44px; padding: 0 8px; border-radius: 10px; font-size: 13px; font-weight: 600; white-space: nowrap; }
.rendition:is(:hover, [aria-expanded=true]) { background: rgb(255 255 255 / .12); }
.menu {
  position: absolute; right: 10px; bottom: 56px; max-height: calc(100% - 64px); min-width: 190px; overflow-y: auto; overscroll-behavior: contain;
  padding: 6px; border-radius: 14px; background: rgb(16 19 26 / .96); box-shadow: 0 10px 40px rgb(0 0 0 / .5);
  animation: appear .12s ease-out; scrollbar-width: thin;
}
.menu button {
  display: flex; align-items: center; gap: 8px; width: 100%; min-height: 44px; padding: 0 12px 0 34px; border-radius: 9px; text-align: left;
  position: relative; white-space: nowrap;
}
.menu button:hover { background: rgb(255 255 255 / .1); }
.menu span { font-weight: 600; }
.menu small { margin-left: auto; padding-left: 14px; font-size: 12px; opacity: .72; font-variant-numeric: tabular-nums; }
.menu [aria-checked=true]::before {
  content: ''; position: absolute; left: 14px; top: 50%; width: 6px; height: 11px; margin-top: -8px; transform: rotate(42deg);
  border: solid var(--accent); border-width: 0 2.5px 2.5px 0;
}
.captions.on { box-shadow: inset 0 -3px 0 -1px var(--accent); }
.big-play {
  position: absolute; left: 50%; top: 50%; width: 76px; height: 76px; margin: -38px; border-radius: 50%;
  display: grid; place-items: center; background: rgb(8 10 15 / .72); box-shadow: 0 0 0 2px rgb(255 255 255 / .85);
}
.big-play svg { width: 36px; height: 36px; margin-left: 4px; }
.big-play:hover { background: var(--accent); }
:host([nocontrols]) :is(.controls, .shade) { display: none; }
.frame.resting { cursor: none; }
.frame.resting .controls:not(:has(:focus-visible)), .frame.resting:not(:has(.controls :focus-visible)) .shade { opacity: 0; }
.frame.resting .controls:not(:has(:focus-visible)) > * { pointer-events: none; }
.icon { width: 44px; height: 44px; display: grid; place-items: center; border-radius: 10px; }
.icon:hover { background: rgb(255 255 255 / .12); }
:is(button, input, select, .seek, a):focus-visible { outline: 2px solid var(--ink); outline-offset: -2px; }
.volume { width: 92px; height: 44px; margin: 0 6px; accent-color: var(--ink); cursor: pointer; }
.gap { flex: 1; }
.when-paused, .when-muted, .when-full { display: none; }
.frame.paused .when-paused, .frame.muted .when-muted, .frame.full .when-full { display: block; }
.frame.paused .when-playing, .frame.muted .when-loud, .frame.full .when-small { display: none; }
@media (pointer: coarse) { .seek { height: 36px; } .preview { bottom: 40px; } .row { margin-top: -6px; } .chapter { width: 20px; margin-left: -10px; } }
@container (max-width: 860px) { .cue-cards { width: min(var(--sluice-cue-width, 260px), 100% - 24px); } }
@container (max-width: 680px) {
  /* In the corner, small: a phone's picture is low, and its middle is what people came for. */
  .sound { top: 8px; bottom: auto; left: auto; right: 8px; transform: none; min-height: 36px; padding: 0 12px; font-size: 12px; }
}
@container (max-width: 480px) {
  .volume { display: none; }
  .go-live { padding: 0 6px; }
  .time { padding: 0 2px; font-size: 12px; }
  .controls { padding-left: 10px; padding-right: 10px; }
  /* The whole height of a low picture, over the controls: five entries without a scroll. */
  .menu { right: 6px; bottom: 6px; max-height: calc(100% - 12px); padding: 4px; }
  .menu button { min-height: 40px; }
  .badges { top: 8px; left: 8px; right: 8px; font-size: 11px; }
}
@container (max-width: 480px) {
  .health-button { display: none; }
  .health {
    top: 34px; left: 8px; right: 8px; background: rgb(8 10 15 / .95); padding: 6px 12px; font-size: 11px; min-width: 0; display: grid; grid-template-columns: auto auto; gap: 0 18px;
  }
  .health > div { line-height: 1.5; gap: 8px; min-width: 0; }
  .health dd { overflow: hidden; text-overflow: ellipsis; }
  .cue-cards { right: auto; left: 8px; width: min(var(--sluice-cue-width, 250px), 100% - 16px); }
  .cue-cards > :not(:last-child) { display: none; }
  .cue-body { min-height: 48px; padding: 4px 36px 4px 4px; gap: 8px; font-size: 13px; }
  .cue-picture { width: 40px; height: 40px; }
  .cue-title { -webkit-line-clamp: 1; }
  /* The whole card is the link: there is no room for words, but for an arrow. */
  .cue-action { display: none; }
  a.cue-body::after { content: '›'; margin-left: auto; font-size: 22px; line-height: 1; opacity: .7; }
  .cue-card:has(.cue-claim) a.cue-body::after { content: none; }
  /* Beside its words: above them is the picture. */
  .cue-cards:has(.cue-claim) { width: min(var(--sluice-cue-width, 350px), 100% - 16px); }
  .cue-card:has(.cue-claim) { display: flex; align-items: center; padding-right: 36px; }
  .cue-card:has(.cue-claim) .cue-body { flex: 1; min-width: 0; padding-right: 4px; }
  .cue-claim { width: auto; max-width: 46%; margin: 4px 0; min-height: 40px; padding: 2px 12px; font-size: 13px; line-height: 1.2; }
  .cue-close { width: 36px; height: 100%; }
  .countdown:not(.large) { left: 8px; font-size: 12px; padding: 4px 12px; }
  /* Beside the card. */
  .countdown.large { place-items: end; padding: 0 20px 92px 0; }
  .countdown.large .count-digit { font-size: 34px; }
  .toasts { top: 34px; left: 8px; right: 52px; align-items: flex-start; font-size: 13px; }
  .toasts:not(:empty) ~ .sound span { display: none; }
  .toast { padding: 4px 14px; -webkit-line-clamp: 1; }
}
@container (max-width: 350px) { .small-window { display: none; } }
@keyframes pulse { from { opacity: .3; } }
@keyframes turn { to { transform: rotate(1turn); } }
@keyframes rise { from { opacity: 0; transform: translateY(12px); } }
@keyframes beat { from { transform: scale(1.25); opacity: .4; } 25% { transform: none; opacity: 1; } }
@keyframes appear { from { opacity: 0; } }
@media (prefers-reduced-motion: reduce) {
  .spinner { animation-duration: 4s; }
  .words, .menu, .controls, .shade, .track, .go-live.switching .dot, .cue-card, .toast, .chapter::before { animation: none; transition: none; }
  .countdown.large .count-digit { animation: none; }
}
@media (forced-colors: active) {
  .badges > *, .sound, .cue-card, .toast, .countdown, .health, .icon, .track, .big-play, .rendition, .menu, .cue-claim { border: 1px solid; }
  .menu [aria-checked=true]::before { border-color: Highlight; forced-color-adjust: none; }
  .played, .knob, .dot { background: Highlight; forced-color-adjust: none; }
}
`;
