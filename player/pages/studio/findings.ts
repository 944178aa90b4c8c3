/** The doctor's findings in the host's language. The server says them in English, with what it measured; other languages say what to do, by code. */
import type { DoctorFinding } from '../../../server/api/contract/socket.ts';
import { latencyText } from '../../ui/texts.ts';
import { make } from '../elements.ts';
import type { Language, StudioTexts } from './texts.ts';
import { fill } from './texts.ts';

export const CHINESE_ADVICE: Readonly<Record<string, string>> = {
  KEY_WRONG: '有一个编码器想在这里开播但被拒绝：它的推流码没有密钥，或密钥不对。请重新完整复制推流码。',
  B_FRAMES:
    '编码器使用了 B 帧：每个画面都会晚到，而且浏览器的 WebRTC 不能播放它们，观众只能看到重新编码的版本。在 OBS 的“设置 › 输出”中：x264 把“微调”设为 zerolatency；NVENC 等把 B 帧设为 0。',
  LOOKAHEAD:
    'x264 在放出一个画面之前会先攒下若干画面，所有观众都因此延迟。在 OBS 的“设置 › 输出”中把“微调”设为 zerolatency。',
  BURST_AT_START:
    '开播时一次到达了许多画面：编码器可能在预读或有队列。请关闭“前向考虑”“多次编码”或“串流延迟”之类的设置。',
  KEYFRAME_INTERVAL_LONG:
    '关键帧太少：观众要等很久才有画面，因此服务器要为他们重新编码，增加延迟并降低画质。在 OBS 的“设置 › 输出”中把“关键帧间隔”设为 1 或 2 秒。',
  KEYFRAME_INTERVAL_IRREGULAR:
    '关键帧间隔忽长忽短。节奏稳定时切换清晰度更平滑：在 x264 选项中加入 scenecut=0，并设置固定的关键帧间隔。',
  KEYFRAMES_LARGE:
    '关键帧比其他画面大得多，在较窄的网络上会拖慢后面的画面。请使用 CBR，并把 x264 的缓冲大小设为码率的一半或更小。',
  BITRATE_PEAKS: '码率时高时低，高峰会在去往观众的路上排队。请把码率控制设为 CBR。',
  TIMESTAMPS_IRREGULAR:
    '画面之间的间隔不均匀：编码器在丢画面或重复画面，看起来会卡顿。请在 OBS 的“视图 › 统计”中查看是否丢帧，降低分辨率或选择更快的预设。',
  UPLINK_STALLS: '到服务器的连接在最近十秒内停顿过。请降低码率，改用网线，或在 OBS 的“设置 › 高级”中开启动态调整码率。',
  UPLINK_LOSS:
    '到服务器的路上有数据包丢失。丢失的会重新发送，但会增加延迟，来不及时画面会停顿。请改用网线代替 Wi-Fi，或降低码率。',
  AUDIO_MISSING: '没有收到声音。若应当有声音，请添加音频来源；用 RTMP 推流时请选择 AAC 编码。',
  VIDEO_MISSING: '没有收到画面。请检查场景和视频编码器。',
  CODEC_NEEDS_REPAIR:
    '画面不是 H.264，并非每个浏览器都能用 WebRTC 播放，因此会为它们重新编码。H.264 加 zerolatency 的延迟最低。',
  PUBLISHER_REFUSED: '服务器刚刚断开了上一次连接。请重新开始推流；若仍不行，请把编码器恢复默认设置或换一个。',
};

export const adviceOf = ({ code, advice }: DoctorFinding, language: Language): string =>
  language === 'en' ? advice : (CHINESE_ADVICE[code] ?? advice);

export const findingItem = (finding: DoctorFinding, language: Language, texts: StudioTexts): HTMLElement => {
  const { severity, costMs } = finding;
  const cost = costMs === null ? [] : [make('small', '', fill(texts.cost, { cost: latencyText(costMs) }))];
  return make('li', severity, make('span', '', adviceOf(finding, language)), ...cost);
};
