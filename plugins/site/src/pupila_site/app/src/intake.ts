/** Takes an image that is chosen, dropped, pasted, or photographed with the camera. */

import { element } from './dom';
import { text } from './texts';

export function startIntake(take: (image: Blob) => void, complain: (sentence: () => string) => void) {
  const chooser = element<HTMLInputElement>('file');
  const takeChosen = () => {
    const [file] = chooser.files ?? [];
    if (file) take(file);
    chooser.value = ''; // the same file can be chosen again
  };
  chooser.addEventListener('change', takeChosen);
  takeChosen(); // a file chosen while the page was loading
  startDrop(element('drop'), take);
  addEventListener('paste', (event) => {
    const [file] = event.clipboardData?.files ?? [];
    if (file) take(file);
  });
  startCamera(take, complain);
}

function startDrop(zone: HTMLElement, take: (image: Blob) => void): void {
  addEventListener('dragover', (event) => {
    event.preventDefault();
    zone.classList.add('over');
  });
  addEventListener('dragleave', (event) => {
    if (!event.relatedTarget) zone.classList.remove('over');
  });
  addEventListener('drop', (event) => {
    event.preventDefault();
    zone.classList.remove('over');
    const [file] = event.dataTransfer?.files ?? [];
    if (file) take(file);
  });
}

function startCamera(take: (image: Blob) => void, complain: (sentence: () => string) => void): void {
  const [open, view] = [element<HTMLButtonElement>('camera'), element('viewfinder')];
  const video = element<HTMLVideoElement>('video');
  let stream: MediaStream | null = null;

  const close = () => {
    stream?.getTracks().forEach((track) => track.stop());
    stream = null;
    view.hidden = true;
    open.hidden = false;
    open.focus();
  };
  open.hidden = !navigator.mediaDevices;
  open.addEventListener('click', async () => {
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } });
      view.hidden = false; // some browsers do not play a hidden video
      open.hidden = true;
      video.srcObject = stream;
      await video.play();
      element('shoot').focus();
    } catch {
      close();
      complain(() => text('cameraRefused'));
    }
  });
  element('shut').addEventListener('click', close);
  element('shoot').addEventListener('click', async () => {
    const image = await photograph(video);
    close();
    take(image);
  });
}

function photograph(video: HTMLVideoElement): Promise<Blob> {
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
  canvas.getContext('2d')!.drawImage(video, 0, 0);
  return canvas.convertToBlob({ type: 'image/png' });
}
