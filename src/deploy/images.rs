//! Images of this computer, and how each could be delivered.

use std::collections::BTreeMap;

use crate::{
    config::{Deployment, ImageSource},
    delivery::{self, Delivery, ImageSources, Offer, Strategy},
    facts::{Facts, here},
    failure::Failure,
    image::{self, LocalImages},
    stage::Stage,
};

/// Opens each source of images on this computer; `None` for one that is on the device.
pub(super) fn open_images(wanted: &Deployment) -> Result<Vec<Option<LocalImages>>, Failure> {
    let open = |image: &crate::config::Image| match &image.source {
        ImageSource::Here(source) => Ok(Some(image::open(source, &image.metadata, image.name.as_deref())?)),
        ImageSource::OnDevice(_) => Ok(None),
    };
    wanted.image.iter().map(open).collect::<Result<_, Failure>>().map_err(|failure| failure.in_stage(Stage::Image))
}

/// Describes what they hold.
pub(super) fn describe(sources: &[Option<LocalImages>]) -> Vec<here::LocalImage> {
    let sources = sources.iter().enumerate().filter_map(|(source, images)| Some((source, images.as_ref()?)));
    sources
        .flat_map(|(source, images)| {
            images.images().iter().map(move |image| here::LocalImage {
                source,
                id: image.id.to_string(),
                platform: image.platform.clone(),
                references: image.references.iter().map(ToString::to_string).collect(),
                layers: image.layers.iter().map(|layer| (layer.diff_id.to_string(), layer.stored)).collect(),
                unpacked: image.layers.iter().map(|layer| layer.unpacked).collect(),
            })
        })
        .collect()
}

/// Finds out how each image that the device does not have could be delivered.
pub(super) fn offers(supply: &ImageSources, facts: &mut Facts, strategy: Strategy) -> Result<BTreeMap<String, Offer>, Failure> {
    let Some(docker) = &facts.docker else { return Ok(BTreeMap::new()) };
    let mut offers = BTreeMap::new();
    for image in facts.here.images.iter_mut().filter(|image| docker.image(&image.id).is_none()) {
        let parts = delivery::present(&image.layers, &docker.images) > 0 && strategy != Strategy::Full;
        if parts && let Some(sizes) = supply.weigh(image.source, &image.id)? {
            image.layers.iter_mut().zip(sizes).for_each(|((_, size), weighed)| *size = weighed);
        }
        let delivery = Delivery::of(&image.layers, &docker.images);
        offers.insert(image.id.clone(), supply.offer(image.source, &image.id, &delivery, &docker.images, strategy)?);
    }
    Ok(offers)
}
