"""A plain PyTorch loop after torchvision's transfer-learning tutorial.

ImageFolder, a DataLoader with workers, the frozen network run in every epoch, Adam on what trains.
Frozen parts stay in evaluation mode, so that their BatchNorm stands still. fp32 as in the tutorial;
`--bf16` adds what PyTorch's performance guide advises on a CPU: channels-last and autocast.
"""

from __future__ import annotations

from contract import RATES, Clock, arguments, write


def main() -> None:
    """Train, test, and write what it took."""
    args = arguments(__doc__, ("frozen", "last-stage", "full"))
    import torch
    from timm_model import loader, network, photos, trained
    from torch import nn

    clock = Clock()
    torch.manual_seed(0)
    layout = torch.channels_last if args.bf16 else torch.contiguous_format
    train = photos(args.data / "train", args.backbone, args.work)
    model = network(args.backbone, args.weights, len(train.classes))
    modules = trained(model, args.backbone, args.work)
    model.to(memory_format=layout)
    optimiser = torch.optim.Adam(
        [p for p in model.parameters() if p.requires_grad], lr=RATES[args.work]
    )
    loss_of = nn.CrossEntropyLoss()

    def half() -> torch.autocast:
        return torch.autocast("cpu", torch.bfloat16, enabled=args.bf16)

    def fit() -> None:
        batches = loader(train, shuffle=True)
        for _ in range(args.epochs):
            model.eval()
            for module in modules:
                module.train()
            for images, labels in batches:
                optimiser.zero_grad()
                with half():
                    loss = loss_of(model(images.to(memory_format=layout)), labels)
                loss.backward()
                optimiser.step()

    clock.train(fit)
    model.eval()
    right, test = 0, photos(args.data / "test", args.backbone, args.work)
    with torch.inference_mode(), half():
        for images, labels in loader(test, shuffle=False):
            outputs = model(images.to(memory_format=layout))
            right += int((outputs.argmax(1) == labels).sum())
    peer = "tuned" if args.bf16 else "plain"
    write(args, peer, clock, right / len(test), len(train) * args.epochs)


if __name__ == "__main__":
    main()
